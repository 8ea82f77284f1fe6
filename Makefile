# SPDX-License-Identifier: GPL-2.0-or-later

# What a Debian machine with Swift needs to build, to run the tests and to show the demo.
PACKAGES := ansible-core arptables chromium-headless-shell conntrack conntrackd curl dpkg-dev dropbear-bin ebtables \
	fish groff-base iproute2 iptables jq keepalived libmnl-dev libnetfilter-conntrack-dev \
	libnfnetlink-dev libnftables-dev libssl-dev libxml2-utils lintian man-db nftables openssh-client perl \
	pkg-config procps prometheus prometheus-node-exporter resource-agents rpm snmp snmpd \
	strace systemd tcpdump tmux valgrind zsh

# Replication in the demo: on or off.
SYNC ?= on

# Leaves nothing in /tmp.
SWIFT := Tests/swift

# Tests look behind the library's public face; what is installed is built without that, so the two
# builds have directories of their own.
TESTING := -c release -Xswiftc -enable-testing --scratch-path .build/testing

# How long `make fuzz` runs each of the fuzzers.
SECONDS ?= 60
# How long `make soak` runs.
MINUTES ?= 30
# How many takeovers `make takeover-soak` makes.
TAKEOVERS ?= 200
# How many `make role-changes` makes.
CHANGES ?= 500
# How many schedules of the simulated cluster `make sanitized` runs.
SCHEDULES ?= 100
FUZZERS := packets sealed ctnetlink configuration rules control import files

.PHONY: help packages build demo takeovers takeover-soak role-changes bench bench-comparison \
	bench-connections bench-report bench-instructions operators-soak test test-mixed test-walks unit sanitized \
	fuzz soak mutants corpus lint clean

help:
	@echo 'make build             the daemon, .build/release/ct_sync'
	@echo 'make demo              a takeover between two firewalls in namespaces, as root'
	@echo 'make demo SYNC=off     the same without replication: the connections die'
	@echo 'make takeovers         ways of a takeover by traffic and set-up: what survives, as root'
	@echo 'make role-changes CHANGES=500  that many role changes under load and loss, as root'
	@echo 'make takeover-soak     200 takeovers to and fro under load: nothing lost, the pauses, as root'
	@echo 'make bench             large tables: memory, sync, takeovers; losses of many slaves; as root'
	@echo 'make bench-comparison  ct_sync and conntrackd under the same loads, as root'
	@echo 'make bench-connections what a connection through the master costs with each, as root'
	@echo 'make bench-instructions  instructions of the data path, counted by valgrind, and their limits'
	@echo 'make bench-report      the tables of the documents from Benchmarks/results'
	@echo 'make operators-soak    what a status, a scrape and a dump each second cost, as root'
	@echo 'make test              all tests: style, unit, kernel, cluster, and those of the packages, as root'
	@echo 'make test-mixed        the build before beside this one, under 2,000 connections/s, as root'
	@echo 'make test-walks        a slow slave, and a hash halved in a walk, alone on the machine, as root'
	@echo 'make unit              the tests that need neither root nor namespaces'
	@echo 'make sanitized         the same under the thread and the address sanitizer, SCHEDULES=100'
	@echo 'make fuzz SECONDS=600  runs each fuzzer that long'
	@echo 'make soak MINUTES=60   runs the simulated cluster that long'
	@echo 'make mutants           plants faults in the engines; the simulated cluster must find each'
	@echo 'make docs-check        the documents: links, commands, outputs; does what they say, as root'
	@echo 'make test-packages     builds all packages and tests them, a part of make test, as root'
	@echo 'make test-compilation  compiles the commit in two folders; the packages must have equal bytes, as root'
	@echo 'make release           packages, source and checksums, .build/release-VERSION'
	@echo 'make corpus            records the kernel messages of Tests/CTSyncTests/Ctnetlink/Corpus, as root'
	@echo 'make test-keepalived   keepalived as it happens, on two machines under systemd, as root'
	@echo 'make test-pacemaker    Pacemaker likewise'
	@echo 'make lint              style only'
	@echo 'make packages          installs the Debian packages that are missing'
	@echo 'make clean             removes what was built'

packages:
	@missing=$$(for package in $(PACKAGES); do \
		dpkg-query --show --showformat='$${Status}' $$package 2>/dev/null \
			| grep -q ' installed$$' || echo $$package; done); \
	if [ -n "$$missing" ]; then \
		apt-get update --quiet && \
		DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes \
			--no-install-recommends $$missing; \
	fi

build: packages
	$(SWIFT) build -c release --product ct_sync

demo: build
	$(SWIFT) build -c release --product demo
	@.build/release/demo --sync=$(SYNC)

# Writes its tables into docs/operating.md. A cell that did not get as far as counting has no row: the tests'
# own status says so.
takeovers: packages
	$(SWIFT) build $(TESTING) --build-tests
	@rm -f .build/takeovers.tsv; : > .build/takeovers.tsv
	@CTSYNC_MATRIX=$(CURDIR)/.build/takeovers.tsv \
		$(SWIFT) test $(TESTING) --skip-build --filter TakeoverMatrixTests > .build/takeovers.log 2>&1 \
		|| { grep -A 1 '✘' .build/takeovers.log; Tests/takeovers .build/takeovers.tsv; exit 1; }
	@Tests/takeovers .build/takeovers.tsv docs/operating.md

takeover-soak: packages
	$(SWIFT) build $(TESTING) --build-tests
	@CTSYNC_TAKEOVERS=$(TAKEOVERS) $(SWIFT) test $(TESTING) --skip-build --filter TakeoverSoakTests \
		> .build/takeover-soak.log 2>&1 || { grep -A 20 '✘' .build/takeover-soak.log; exit 1; }
	@sed -n 's/^soak: //p' .build/takeover-soak.log

role-changes: build
	$(SWIFT) build $(TESTING) --build-tests
	CTSYNC_ROLE_CHANGES=$(CHANGES) $(SWIFT) test $(TESTING) --skip-build --filter RoleChangeTests

# Half an hour: memory and initial sync of large tables, takeovers, common losses, transfers.
bench: build
	$(SWIFT) build -c release --product bench-comparison
	mkdir -p Benchmarks/results
	@for measure in tables takeovers losses transfers; do \
		.build/release/bench-comparison $$measure \
			--results Benchmarks/results/$$measure-$$(date +%F).json || exit 1; done

bench-comparison: build
	$(SWIFT) build -c release --product bench-comparison
	@.build/release/bench-comparison

# Results are of one machine and one day: Benchmarks/results/connections-DAY.json. Hours, on a machine
# that does nothing else. Rate 0: as many as can be made.
ROUNDS ?= 5
RATES ?= 1000,3000,6000,0
TRANSPORTS ?= tcp,udp
RESULTS ?= Benchmarks/results/connections-$(shell date +%F).json

bench-connections: build
	$(SWIFT) build -c release --product bench-comparison
	mkdir -p Benchmarks/results
	@.build/release/bench-comparison connections --rates $(RATES) --transports $(TRANSPORTS) \
		--rounds $(ROUNDS) --latency yes --results $(RESULTS)

bench-report:
	$(SWIFT) build -c release --product bench-comparison
	@.build/release/bench-comparison report README.md docs/comparison.md \
		$(foreach measure,connections tables takeovers losses transfers, \
			$(lastword $(sort $(wildcard Benchmarks/results/$(measure)-*.json)))) \
		runs $(wildcard $(lastword $(sort $(wildcard Benchmarks/results/more-runs-*)))/*.json)

# Looks on both nodes each second, for five minutes, while 20,000 connections/s come and go.
operators-soak: build
	$(SWIFT) build -c release --product ct_sync-exporter
	$(SWIFT) build -c release --product bench-comparison
	@.build/release/bench-comparison operators 5

# Instructions do not depend on what else the machine does. RECORD=--record writes new limits.
bench-instructions: packages
	CT_SYNC_INSTRUCTIONS=1 $(SWIFT) build $(TESTING) --product bench-instructions
	@Benchmarks/Instructions/run .build/testing/release/bench-instructions \
		Tests/CTSyncTests/Ctnetlink/Corpus/traffic.hex $(RECORD)

# The cluster tests mostly wait: two halves go side by side, and what is packaged is built in what they leave
# of the processors.
test: packages lint
	$(SWIFT) build $(TESTING) --build-tests
	Fuzz/check .build/testing/release
	Tests/run --skip '^ClusterTests\.' -- $(SWIFT) test $(TESTING) --skip-build
	Tests/meanwhile .build/static.log '$(MAKE) static' -- Tests/run \
		--filter '^ClusterTests\.ClusterTests/[A-L]' and --filter '^ClusterTests\.ClusterTests/[M-Z]' \
		-- $(SWIFT) test $(TESTING) --skip-build --ignore-lock
	$(MAKE) bench-instructions
	$(MAKE) -j 3 test-packages

# Old master and new slave, and the other way round, takeovers both ways, with and without a key. On a
# machine that does nothing else.
test-mixed: packages
	$(SWIFT) build $(TESTING) --build-tests
	@before=$$(Tests/mixed/build) || exit 1; CT_SYNC_BINARY_BEFORE=$$before \
		$(SWIFT) test $(TESTING) --skip-build --filter MixedVersionTests > .build/mixed/log 2>&1 \
		|| { grep -A 20 '✘' .build/mixed/log; exit 1; }
	@sed -n 's/^mixed: //p' .build/mixed/log

# A slave that is slow, and nf_conntrack_buckets, which is the whole machine's: no other test may run beside.
test-walks: packages
	$(SWIFT) build $(TESTING) --build-tests
	@CTSYNC_WALKS=1 $(SWIFT) test $(TESTING) --skip-build --filter ClusterTests.WalkTests > .build/test-walks.log 2>&1 \
		|| { grep -A 20 '✘' .build/test-walks.log; exit 1; }
	@grep -E 'Test a.* (passed|skipped)' .build/test-walks.log

# Whatever is in neither of the two targets that need root.
UNIT := --skip '^(KernelTests|ClusterTests)\.'

unit: packages
	$(SWIFT) build $(TESTING) --build-tests
	Fuzz/check .build/testing/release
	$(SWIFT) test $(TESTING) --skip-build $(UNIT)

# The unit tests, of which the simulated cluster is a part, in debug builds of nothing else. What XCTest and
# Foundation leak is not ours. Swift's own report of a crash reads the stack, which the address sanitizer takes
# for the fault.
sanitized: export SWIFT_BACKTRACE := enable=no
sanitized: export CT_SYNC_UNIT := 1
sanitized: export CTSYNC_SCHEDULES := $(SCHEDULES)
sanitized: packages
	$(SWIFT) build --scratch-path .build/tsan --sanitize=thread --build-tests
	$(SWIFT) test --scratch-path .build/tsan --sanitize=thread --skip-build
	$(SWIFT) build --scratch-path .build/asan --sanitize=address --build-tests
	LSAN_OPTIONS=print_suppressions=0:suppressions=$(CURDIR)/Tests/style/leaks \
		$(SWIFT) test --scratch-path .build/asan --sanitize=address --skip-build

# Every schedule in which a promise breaks, up to twenty, with its seed.
soak: packages
	$(SWIFT) build $(TESTING) --build-tests
	CTSYNC_FIRST=500001 CTSYNC_MINUTES=$(MINUTES) CTSYNC_FAILURES=20 \
		$(SWIFT) test $(TESTING) --skip-build --filter SimulationTests

# One build of a scratch copy with all faults, each behind a switch; the table is in docs/hacking.md.
mutants: packages
	Tests/mutants/run

# A package of its own, which no other build contains. What a fuzzer finds in its time is kept in
# .build/fuzz/corpus; an input that ends it is left as .build/fuzz/NAME-crash-*, and is given to
# .build/fuzz/release/fuzz-NAME to see it again. Fuzz/make-seeds makes Fuzz/Seeds. Two minutes for an
# input, which takes milliseconds: libFuzzer counts the time in which it got no processor too.
fuzz: packages
	$(SWIFT) build --package-path Fuzz --scratch-path .build/fuzz -c release -Xswiftc -enable-testing \
		-Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld
	@for name in $(FUZZERS); do \
		mkdir -p .build/fuzz/corpus/$$name; \
		SWIFT_BACKTRACE=enable=no LSAN_OPTIONS=print_suppressions=0:suppressions=$(CURDIR)/Tests/style/leaks \
			.build/fuzz/release/fuzz-$$name -max_total_time=$(SECONDS) -max_len=8192 \
			-timeout=120 -artifact_prefix=.build/fuzz/$$name- \
			.build/fuzz/corpus/$$name Fuzz/Seeds/$$name 2>.build/fuzz/$$name.log \
			|| { tail -n 40 .build/fuzz/$$name.log; exit 1; }; \
		echo "fuzz-$$name: $$(tail -n 1 .build/fuzz/$$name.log)"; \
	done

# Records what this machine's kernel says, for the tests of the readers; the corpus in the repository
# is of Linux 6.18.
corpus: packages
	$(SWIFT) build $(TESTING) --build-tests
	CT_SYNC_CORPUS=$(CURDIR)/Tests/CTSyncTests/Ctnetlink/Corpus \
		$(SWIFT) test $(TESTING) --skip-build --filter 'ReaderTests'

# Style, that no room of the library uses one below it, that daemon and simulation call the same engines
# (docs/engines.md), that the tests exist which documents name, that the seeds in them are run, and that each
# planted fault still has its place.
LIBRARY = $(wildcard Sources/CTSync/*/*.swift)

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Benchmarks \
		Fuzz/Package.swift Fuzz/Sources
	@Tests/style/rooms $(LIBRARY) $(LIBRARY)
	@Tests/style/callers --check
	@Tests/style/seeds
	@Tests/docs/tests
	@Tests/mutants/run --check
	@! grep -rnE '^(package |public |internal )?import Foundation' Sources/CTSync Sources/ct_sync \
		Sources/ct_sync-exporter Sources/ConntrackdImport

clean:
	rm -rf .build

# make install, the packages and their tests.
-include packaging.mk
