/* Exchanges in lockstep: a message is given to the client at a pipe when the server has shown the one before.
 *
 * The pair is the least that can be written: it allocates nothing and checks nothing. scripts/bench.sh measures
 * echolog against it.
 *
 *   lockstep server PORT
 *   lockstep client PORT
 *   lockstep drive COUNT SERVER... -- CLIENT...    plays COUNT exchanges, prints how many a second
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char kept[64 << 20], buffer[1 << 16], screen[1 << 18];

static int open_socket(const char *port, int serve) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(port)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, sock = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (serve) {
        bind(sock, (struct sockaddr *)&at, sizeof at);
        listen(sock, 1);
        dprintf(1, "server is using port: %s\n", port);
        sock = accept(sock, NULL, NULL);
    } else {
        connect(sock, (struct sockaddr *)&at, sizeof at);
    }
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return sock;
}

static char *put(char *to, const char *text, size_t length) { return (char *)memcpy(to, text, length) + length; }
#define PUT(to, text) put(to, text, sizeof text - 1)

static int serve(const char *port) {
    int sock = open_socket(port, 1);
    size_t log = 0, held = 0;
    for (ssize_t got; (got = read(sock, buffer + held, sizeof buffer - held)) > 0;) {
        char *line = buffer, *end = buffer + held + got, *shown = screen, *feed;
        while ((feed = memchr(line, '\n', end - line))) {
            if (feed - line == 4 && !memcmp(line, "quit", 4)) {
                write(1, screen, shown - screen);
                write(sock, kept, log);
                return 0;
            }
            shown = PUT(shown, "server received message: \"");
            shown = put(shown, line, feed - line);
            shown = PUT(shown, "\"\n");
            memcpy(kept + log, line, feed + 1 - line);
            log += feed + 1 - line;
            line = feed + 1;
        }
        write(1, screen, shown - screen);
        held = end - line;
        memmove(buffer, line, held);
    }
    return 1;
}

static int ask(const char *port) {
    int sock = open_socket(port, 0);
    write(1, "enter a message to send to server: ", 35);
    for (ssize_t got; (got = read(0, buffer, sizeof buffer)) > 0;) {
        char *shown = put(screen, buffer, got);
        shown = PUT(shown, "client sending message: \"");
        shown = put(shown, buffer, got - 1);
        shown = PUT(shown, "\"\nenter a message to send to server: ");
        write(1, screen, shown - screen);
        write(sock, buffer, got);
    }
    for (ssize_t got; (got = read(sock, buffer, sizeof buffer)) > 0;) write(1, buffer, got);
    return 0;
}

static pid_t start(char **command, int in, int out, int unused) {
    pid_t child = fork();
    if (child == 0) {
        dup2(in, 0);
        dup2(out, 1);
        close(unused);
        execvp(command[0], command);
        _exit(127);
    }
    return child;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Reads what the server shows until `text` and the end of its line. */
static void shown(int from, const char *text) {
    static char held[1 << 16];
    static size_t length;
    for (;;) {
        char *at = memmem(held, length, text, strlen(text)), *end;
        if (at && (end = memchr(at, '\n', held + length - at))) {
            length -= end + 1 - held;
            memmove(held, end + 1, length);
            return;
        }
        ssize_t got = read(from, held + length, sizeof held - length);
        if (got <= 0) exit(1);
        length += got;
    }
}

static int drive(long count, char **server) {
    char **client = server;
    while (strcmp(*client, "--")) client++;
    *client++ = NULL;
    int screen_of_server[2], keyboard[2], null = open("/dev/null", O_RDWR);
    pipe2(screen_of_server, O_CLOEXEC);
    pipe2(keyboard, O_CLOEXEC);
    pid_t serving = start(server, null, screen_of_server[1], keyboard[1]);
    close(screen_of_server[1]);
    shown(screen_of_server[0], "using port: ");
    pid_t asking = start(client, keyboard[0], null, keyboard[1]);
    char line[64], expected[64];
    double begun = 0;
    for (long number = -1; number < count; number++) {
        if (number == 0) begun = now(); /* The first exchange waits for the connection. */
        int length = snprintf(line, sizeof line, "message %ld\n", number);
        snprintf(expected, sizeof expected, "\"message %ld\"", number);
        write(keyboard[1], line, length);
        shown(screen_of_server[0], expected);
    }
    double took = now() - begun;
    write(keyboard[1], "quit\n", 5);
    close(keyboard[1]);
    int one, other;
    waitpid(asking, &one, 0);
    waitpid(serving, &other, 0);
    printf("%.0f\n", count / took);
    return one || other;
}

int main(int count, char **words) {
    if (count > 2 && !strcmp(words[1], "server")) return serve(words[2]);
    if (count > 2 && !strcmp(words[1], "client")) return ask(words[2]);
    if (count > 5 && !strcmp(words[1], "drive")) return drive(atol(words[2]), words + 3);
    return 2;
}
