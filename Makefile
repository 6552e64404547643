# Resguardo. `make run` tries it, `make test` proves it, `make deps` shows what the tests need.

GO      ?= go
VERSION ?= devel
TAGS    := nomsgpack
PKGS    := ./...
# What the tests use beside Go, as Debian packages: tor, a browser, stock unzip,
# fault injection, network namespaces, a file system of our own, the units' checker,
# a second browser with its checkers, dictionaries, and the checkers of packages and man pages.
DEBS    := tor firefox-esr unzip strace iproute2 fuse3 procps curl systemd \
           chromium w3m hunspell hunspell-es hunspell-en-us nodejs lintian mandoc man-db \
           slowhttptest e2fsprogs mount

export CGO_ENABLED ?= 0
export GOFLAGS := -tags=$(TAGS) -buildvcs=false -mod=readonly

.PHONY: build run demo-vault test demo deps tools lint race fuzz torture bench screenshots release deb sbom clean

build:
	$(GO) build -trimpath -ldflags '-s -w -buildid= -X main.version=$(VERSION)' -o bin/ $$($(GO) list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./cmd/resguardo*)

# A vault to try, in var/demo, and its only reviewer, in var/demo-reviewer: on this
# machine at once, on the Tor network soon after. Without a good tor, or a network,
# the pages on this machine work all the same. TOR_INCLUDE=FILE adds torrc lines.
run: build demo-vault
	@mode=managed; command -v tor >/dev/null || { \
	  echo 'run: tor is not installed. Installing the Debian package tor, which needs root.'; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends tor >/dev/null || \
	  echo 'run: tor could not be installed.'; }; \
	version=$$(tor --version 2>/dev/null | sed -n 's/^Tor version \([0-9.]*[0-9]\).*/\1/p'); \
	printf '0.4.9.11\n%s\n' "$$version" | sort -VC || { mode=off; \
	  echo "run: tor 0.4.9.11 or later is needed, here is $${version:-none}: serving on this machine only."; }; \
	echo 'Source:    http://127.0.0.1:8080   (send a test report there)'; \
	echo 'Reviewer:  bin/resguardo fetch -dir var/demo-reviewer -server http://127.0.0.1:8081'; \
	[ $$mode = off ] || set -- $${TOR_INCLUDE:+-tor-include "$$TOR_INCLUDE"}; \
	exec bin/resguardod serve -dir var/demo -tor $$mode "$$@" -preview 127.0.0.1:8080 -preview-review 127.0.0.1:8081

# Made in var/new and moved, so that an interrupted run leaves no half-made vault.
demo-vault: build
	@test -d var/demo || { set -e; rm -rf var/new; mkdir -p var/new; \
	  { bin/resguardod init -dir var/new/demo -origin demo.example -demo && \
	    bin/resguardo keygen -dir var/new/demo-reviewer -name demo -no-passphrase && \
	    bin/resguardod desk add -dir var/new/demo -id demo -name-es 'Equipo de prueba' -name-en 'Test team' -region C,S -languages es,en && \
	    bin/resguardod reviewer add -dir var/new/demo -desk demo var/new/demo-reviewer/card.txt; } >var/new/log 2>&1 || { cat var/new/log; exit 1; }; \
	  mv var/new/demo.keys var/new/demo-reviewer var/; mv var/new/demo var/; rm -r var/new; \
	  echo 'Made a demo vault in var/demo; its reviewer keeps the keys in var/demo-reviewer.'; }

# Shows what is missing first, then installs it with apt (as root, or through sudo).
deps:
	@missing=$$(for d in $(DEBS); do dpkg-query -W -f='$${Status}' $$d 2>/dev/null | grep -q 'install ok installed' || echo $$d; done); \
	if [ -z "$$missing" ]; then echo 'deps: everything is installed: $(DEBS)'; else \
	  echo "deps: the tests need these Debian packages: $$missing"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

# axe and html-validate, pinned by hash. Debian's nodejs has npm in a package of its
# own, others bring it along.
tools: deps
	@command -v npm >/dev/null || $(MAKE) --no-print-directory deps DEBS=npm
	onion/site/browser/tools/fetch

# One private Tor network serves all tests of the run. Stock log tools and the file
# system that loses what was not synced are modules of their own.
test: deps tools
	$(GO) run ./onion/tornet/run $(GO) test -timeout 20m $(PKGS)
	$(GO) -C vault/interop test -timeout 10m ./...
	$(GO) -C vault/torture test -timeout 10m ./...

# DURATION=1h make torture, or ROUNDS=100000 make torture. It ends with a table.
ROUNDS ?= 3000
torture: deps
	$(GO) -C vault/torture test -count=1 -timeout 0 -v . -args -tiny 10000 $(if $(DURATION),-duration $(DURATION),-rounds $(ROUNDS))
	$(GO) test -count=1 -timeout 0 -v -run TestHitAndMiss ./onion/site -args -pairs 2000

# The whole story over a private Tor network on this machine, in about a minute.
demo: build
	@$(MAKE) --no-print-directory deps DEBS=tor >/dev/null
	@$(GO) run ./onion/tornet/demo -programs bin

lint:
	@files=$$(gofmt -l cmd crypto onion packaging vault); [ -z "$$files" ] || { echo "not gofmt-ed: $$files"; exit 1; }
	$(GO) vet $(PKGS)
	$(GO) -C vault/interop vet ./...
	$(GO) -C vault/torture vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 $(PKGS)

# The race detector needs cgo and a C compiler. Each program would sleep a second before it exits.
race:
	CGO_ENABLED=1 GORACE=atexit_sleep_ms=0 $(GO) test -race -short $(PKGS)

# FUZZTIME=10m make fuzz
FUZZTIME ?= 1m
fuzz:
	.ci/fuzz $(FUZZTIME) $(shell nproc)

# ONLY=log make bench measures one chapter anew. Programs to compare with come from Debian.
bench: deps
	@$(MAKE) --no-print-directory deps DEBS='age gnupg onionshare-cli'
	$(GO) run ./onion/tornet/run $(GO) test -run "^$$" -bench "Figures$(if $(ONLY),/$(ONLY))" -benchtime 1x -timeout 2h ./cmd -args -figures $(CURDIR)/docs/performance.md

# Every page as a picture, in var/screenshots. DOCS=1 writes docs/screenshots anew too.
screenshots: tools
	$(GO) test -count=1 -timeout 30m -run 'TestPages/^(es|en)$$/pictures' ./onion/site/browser -args -screenshots $(CURDIR)/var/screenshots $(if $(DOCS),-docs)

# Archives, Debian packages and SHA256SUMS in var/release. VERSION=1.2.3 make release
release:
	rm -rf var/release
	$(GO) run ./packaging/release -version $(VERSION) -to var/release all

deb:
	rm -rf var/deb
	$(GO) run ./packaging/release -version $(VERSION) -to var/deb deb

sbom: build
	@set -e; for p in resguardod resguardo resguardo-audit; do $(GO) run ./packaging/release -version $(VERSION) sbom bin/$$p; done

clean:
	rm -rf bin var/release var/deb
