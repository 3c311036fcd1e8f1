# echolog's chores. `make` alone says what there is.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
BINARY := $(TARGET)/release/echolog
GENERATED := $(TARGET)/generated
SOURCES := Cargo.toml Cargo.lock $(shell find src -name '*.rs')

bindir := $(DESTDIR)$(PREFIX)/bin
mandir := $(DESTDIR)$(PREFIX)/share/man/man1
bashdir := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zshdir := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fishdir := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

.DEFAULT_GOAL := help
.PHONY: help build demo test lint bench torture bless pictures install uninstall clean

help: ## show this list
	@echo 'usage: make GOAL [PREFIX=$(PREFIX)] [DESTDIR=$(DESTDIR)]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: $(BINARY) ## build the optimised program, target/release/echolog

# A rule with a file, so that `sudo make install` after `make build` needs no toolchain for root.
$(BINARY): $(SOURCES)
	$(CARGO) build --release --locked
	@touch $@

demo: ## watch a server and a client talk, side by side
	@scripts/demo.sh

test: ## run every test
	$(CARGO) test --locked

lint: ## format, lints, docs, shell scripts, and the gate for what must not be left behind
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps --document-private-items
	scripts/gate.sh

bench: ## measure against Python, socat, pexpect, expect and the shell; prints one table
	scripts/bench.sh

torture: build ## let each system call of server and client fail once (needs strace); prints one table
	python3 scripts/torture.py --echolog $(BINARY)

bless: build ## rewrite the golden screens from what is seen now, and show what changed
	$(BINARY) replay --bless
	git --no-pager diff --stat -- fixtures

pictures: ## make the pictures of the README anew, from real output
	PICTURES=1 $(CARGO) test --locked pictures

install: $(BINARY) ## install program, man pages and completions under PREFIX
	rm -rf $(GENERATED)
	$(BINARY) generate man $(GENERATED)/man
	for shell in bash zsh fish; do $(BINARY) completions $$shell > $(GENERATED)/$$shell || exit; done
	install -d $(bindir) $(mandir) $(bashdir) $(zshdir) $(fishdir)
	install -m 755 $(BINARY) $(bindir)/echolog
	install -m 644 $(GENERATED)/man/*.1 $(mandir)/
	install -m 644 $(GENERATED)/bash $(bashdir)/echolog
	install -m 644 $(GENERATED)/zsh $(zshdir)/_echolog
	install -m 644 $(GENERATED)/fish $(fishdir)/echolog.fish

uninstall: ## remove what install put there
	rm -f $(bindir)/echolog $(mandir)/echolog.1 $(mandir)/echolog-*.1
	rm -f $(bashdir)/echolog $(zshdir)/_echolog $(fishdir)/echolog.fish

clean: ## remove everything that was built
	$(CARGO) clean
