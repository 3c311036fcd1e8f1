//! The languages whose programs are recognised, one entry each: what listens, what connects, where arguments
//! and the keyboard are read.
//!
//! All patterns but `reads` are matched against code whose comments and strings are blanked. A new language is
//! a new entry here, and a way to run it in `build.rs`.

/// A language.
#[derive(Debug)]
pub struct Language {
    /// What it is called.
    pub name: &'static str,
    /// How its files end.
    pub extensions: &'static [&'static str],
    /// The programs that build and run it.
    pub tools: &'static [&'static str],
    /// How its comments begin.
    pub comments: Comments,
    /// What a file has that can be started; in the others every file can.
    pub main: Option<&'static str>,
    /// What a server calls.
    pub listens: &'static str,
    /// What a client calls.
    pub connects: &'static str,
    /// The list of arguments.
    pub arguments: List,
    /// A call that reads a line or a number from the keyboard.
    pub reads: &'static str,
    /// How a line begins that uses another file of the submission.
    pub uses: &'static str,
}

/// How comments begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comments {
    /// With `#`.
    Hash,
    /// With `//` and `/*`.
    Slashes,
    /// With any of these.
    Both,
    /// With `#`, or between `=begin` or `=pod` and `=end` or `=cut`.
    HashAndPod,
}

/// Where a program finds its arguments.
#[derive(Debug)]
pub struct List {
    /// The name of the list: a pattern, or one whose first group is the name, found in the head of `main`.
    pub name: &'static str,
    /// Whether `name` has to be looked up in the head of `main`.
    pub is_parameter: bool,
    /// The index of the first argument.
    pub first: usize,
}

const fn list(name: &'static str, first: usize) -> List {
    List { name, is_parameter: false, first }
}

const fn parameter(name: &'static str, first: usize) -> List {
    List { name, is_parameter: true, first }
}

const C_LISTENS: &str = r"\blisten\s*\(|\baccept4?\s*\(|\bacceptor\b";
const C_CONNECTS: &str = r"\bconnect\s*\(";
const C_MAIN: &str = r"\bmain\s*\(";
const C_ARGUMENTS: &str = r"\bmain\s*\([^,)]*,\s*(?:const\s+)?char\s*(?:const\s*)?\*+\s*(?:const\s*)?(\w+)";

/// Every language.
pub const LANGUAGES: [Language; 12] = [
    Language {
        name: "Python",
        extensions: &["py"],
        tools: &["python3"],
        comments: Comments::Hash,
        main: None,
        listens: r"\.listen\s*\(|\.accept\s*\(|\bcreate_server\s*\(|\bstart_server\s*\(|\b(?:Threading|Forking)?TCPServer\s*[(),]",
        connects: r"\.connect(?:_ex)?\s*\(|\bcreate_connection\s*\(|\bopen_connection\s*\(",
        arguments: list(r"sys\.argv|\bargv", 1),
        reads: r"\b(?:raw_)?input\s*\(|\bstdin\.readline\s*\(",
        uses: r"^\s*(?:from|import)\s",
    },
    Language {
        name: "Java",
        extensions: &["java"],
        tools: &["javac", "java"],
        comments: Comments::Slashes,
        main: Some(r"\bvoid\s+main\s*\("),
        listens: r"\bnew\s+(?:[\w.]+\.)?(?:SSL)?ServerSocket\s*\(|\bServerSocketChannel\.open|\bcreateServerSocket\s*\(",
        connects: r"\bnew\s+(?:[\w.]+\.)?Socket\s*\(|\bSocketChannel\.open|\bcreateSocket\s*\(",
        arguments: parameter(r"\bmain\s*\(\s*(?:final\s+)?String\s*(?:\[\s*\]|\.\.\.|\s)\s*(\w+)", 0),
        reads: r"\.\s*next(?:Line|Int|Short|)\s*\(\s*\)|\.\s*readLine\s*\(|\bshowInputDialog\s*\(",
        uses: "",
    },
    Language {
        name: "C",
        extensions: &["c", "h"],
        tools: &["cc"],
        comments: Comments::Slashes,
        main: Some(C_MAIN),
        listens: C_LISTENS,
        connects: C_CONNECTS,
        arguments: parameter(C_ARGUMENTS, 1),
        reads: r"\bscanf\s*\(|\bf?gets\s*\(|\bgetline\s*\(|\bfscanf\s*\(|\breadline\s*\(",
        uses: r"^\s*#\s*include\s",
    },
    Language {
        name: "C++",
        extensions: &["cpp", "cc", "cxx", "C", "hpp", "hh"],
        tools: &["c++"],
        comments: Comments::Slashes,
        main: Some(C_MAIN),
        listens: C_LISTENS,
        connects: C_CONNECTS,
        arguments: parameter(C_ARGUMENTS, 1),
        reads: r"\bcin\s*>>|\bgetline\s*\(|\bscanf\s*\(|\bf?gets\s*\(",
        uses: r"^\s*#\s*include\s",
    },
    Language {
        name: "JavaScript",
        extensions: &["js", "mjs", "cjs"],
        tools: &["node"],
        comments: Comments::Slashes,
        main: None,
        listens: r"\.listen\s*\(|\bcreateServer\s*\(",
        connects: r"\bcreateConnection\s*\(|\bnet\.connect\s*\(|\.connect\s*\(|\bconnect\s*\(\s*\{",
        arguments: list(r"\bprocess\.argv", 2),
        reads: r"\bquestion\s*\(|\bprompt\s*\(|\breadlineSync\.\w+\s*\(",
        uses: r"\brequire\s*\(|^\s*import\s|^\s*export\s|^\s*\}\s*from\s",
    },
    Language {
        name: "Go",
        extensions: &["go"],
        tools: &["go"],
        comments: Comments::Slashes,
        main: Some(r"\bfunc\s+main\s*\("),
        listens: r"\bnet\.Listen(?:TCP)?\s*\(",
        connects: r"\bnet\.Dial\w*\s*\(|\.Dial\s*\(",
        arguments: list(r"\bos\.Args", 1),
        reads: r"\bfmt\.Scan(?:ln|f)?\s*\(|\.ReadString\s*\(|\.Scan\s*\(\s*\)",
        uses: "",
    },
    Language {
        name: "Rust",
        extensions: &["rs"],
        tools: &["cargo"],
        comments: Comments::Slashes,
        main: Some(r"\bfn\s+main\s*\("),
        listens: r"\bTcpListener::bind",
        connects: r"\bTcpStream::connect",
        arguments: list(r"\benv::args\(\)|\bargs\(\)", 1),
        reads: r"\.read_line\s*\(",
        uses: r"^\s*(?:pub\s+)?(?:mod|use)\s",
    },
    Language {
        name: "Ruby",
        extensions: &["rb"],
        tools: &["ruby"],
        comments: Comments::HashAndPod,
        main: None,
        listens: r"\bTCPServer\b|\bServerSocket\b|\.listen\b|\btcp_server(?:_loop)?\b",
        connects: r"\bTCPSocket\b|\bSocket\.tcp\b|\.connect\b",
        arguments: list(r"\bARGV", 0),
        reads: r"(?:\b(?:STDIN|Kernel)\.|\$stdin\.|(?:^|[^.\w]))gets\b|\b[Rr]eadline(?:\.readline)?\b",
        uses: r"^\s*(?:require|require_relative|load)\b",
    },
    Language {
        name: "Perl",
        extensions: &["pl", "perl", "pm"],
        tools: &["perl"],
        comments: Comments::HashAndPod,
        main: None,
        listens: r"\bListen\s*=>|\blisten\s*\(|\bLocalPort\s*=>",
        connects: r"\bPeer(?:Addr|Host|Port)\s*=>|\bconnect\s*\(",
        arguments: list(r"[$@]ARGV", 0),
        reads: r"<\s*(?:STDIN|)\s*>|\breadline\s*\(",
        uses: r"^\s*(?:use|require|do)\s",
    },
    Language {
        name: "C#",
        extensions: &["cs"],
        tools: &[],
        comments: Comments::Slashes,
        main: Some(
            r"\bMain\s*\(|\A(?:\s|using\b[^\n]*)*(?:var|try|if|while|int|string|Console|Tcp\w+|Socket|IP\w+)\b",
        ),
        listens: r"\bnew\s+(?:[\w.]+\.)?TcpListener\s*\(|\bTcpListener\s+\w+\s*=\s*new\s*\(|\.Listen\s*\(|\bTcpListener\.Create",
        connects: r"\bnew\s+(?:[\w.]+\.)?TcpClient\s*\(|\bTcpClient\s+\w+\s*=\s*new\s*\(|\.Connect(?:Async)?\s*\(",
        arguments: parameter(r"\bMain\s*\(\s*string\s*\[\s*\]\s*(\w+)", 0),
        reads: r"\bConsole\s*\.\s*ReadLine\s*\(|\bConsole\.In\.ReadLine\s*\(",
        uses: "",
    },
    Language {
        name: "PHP",
        extensions: &["php"],
        tools: &["php"],
        comments: Comments::Both,
        main: None,
        listens: r"\bsocket_listen\s*\(|\bstream_socket_server\s*\(|\bsocket_create_listen\s*\(",
        connects: r"\bsocket_connect\s*\(|\bstream_socket_client\s*\(|\bp?fsockopen\s*\(",
        arguments: list(r"\$argv|\$_SERVER\[argv\]", 1),
        reads: r"\bfgets\s*\(\s*STDIN|\breadline\s*\(|\bfscanf\s*\(\s*STDIN",
        uses: r"^\s*(?:require|include)(?:_once)?\b",
    },
    Language {
        name: "the shell",
        extensions: &["sh", "bash"],
        tools: &["bash"],
        comments: Comments::Hash,
        main: None,
        listens: r"\b(?:nc|ncat|netcat)\b[^\n|;]*\s(?:-\w*l|--listen)|\bsocat\b[^\n]*LISTEN|\btcpserver\b",
        connects: r"/dev/tcp/|\b(?:nc|ncat|netcat|telnet)\s|\bsocat\b",
        arguments: list(r"\$", 1),
        reads: r"(?:^|[;&|\s])read\s",
        uses: r"^\s*(?:source|\.)\s",
    },
];
