# SPDX-License-Identifier: GPL-2.0-or-later

# Installation and packages; included by the Makefile.
#
#   make install DESTDIR=/some/root PREFIX=/usr
#   make deb             .build/deb/ct-sync_VERSION_ARCHITECTURE.deb
#   make rpm             .build/rpm/ct-sync-VERSION-1.ARCHITECTURE.rpm
#   make tarball         .build/tarball/ct_sync-VERSION-linux-ARCHITECTURE.tar.xz, with an install script
#   make release         all of them, the source and SHA256SUMS in .build/release-VERSION
#   make test-packages   their tests
#   make test-compilation  compiles the commit twice, in two folders: the packages have equal bytes
#
# All take the daemon built with the Swift runtime inside, so that it needs C libraries only.

PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
# Where the service manager and the others look, wherever the program itself is.
SBINDIR = $(PREFIX)/sbin
LIBDIR = $(PREFIX)/lib
MANDIR = $(PREFIX)/share/man
DOCDIR = $(PREFIX)/share/doc/ct-sync
UNITDIR ?= $(LIBDIR)/systemd/system
# Where bash, zsh and fish look for completions.
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
OCFDIR ?= /usr/lib/ocf/resource.d/ct_sync

STATIC = .build/static
STATIC_BINARY = $(STATIC)/release/ct_sync
# Equal functions are kept once: generic code repeats itself.
# Relative relocations are packed (glibc 2.36): a megabyte less.
# Nothing is in it that would differ if the same source were compiled in another folder: no name of the folder
# (__FILE__), no build-id, which is a sum of debug information too, and not what packaging/discard.ld names.
STATIC_FLAGS = -c release --static-swift-stdlib --scratch-path $(STATIC) -Xswiftc -use-ld=lld \
	-Xcc -fmacro-prefix-map=$(CURDIR)=. \
	-Xlinker -z -Xlinker now -Xlinker --icf=all -Xlinker -z -Xlinker pack-relative-relocs \
	-Xlinker --build-id=none -Xlinker -T -Xlinker $(CURDIR)/packaging/discard.ld
# What all packages are made of.
STAGED = .build/staged

.PHONY: static install uninstall staged deb rpm tarball release documents docs-check test-packaging \
	test-managers test-keepalived test-pacemaker test-packages test-compilation

static: packages
	for program in ct_sync ct_sync-exporter; do \
		CT_SYNC_COMMIT=$$(packaging/version commit) \
			$(SWIFT) build $(STATIC_FLAGS) --product $$program || exit 1; done

# Pieces that name the program's place are written for PREFIX=/usr.
PLACE = sed -e 's|/usr/sbin/|$(SBINDIR)/|g' -e 's|/usr/lib/ct_sync/|$(LIBDIR)/ct_sync/|g'
# Scripts beside the program, and scripts of the others.
SBIN_SCRIPTS = conf/ct_sync-role
LIB_SCRIPTS = conf/keepalived/ct_sync-notify conf/keepalived/ct_sync-notify-fifo conf/ct_sync-primary-backup \
	conf/ct_sync-restart
# Units beside the daemon's, off by default.
MORE_UNITS = conf/systemd/ct_sync-flows.service conf/systemd/ct_sync-metrics.service \
	conf/systemd/ct_sync-metrics.timer conf/systemd/ct_sync-exporter.service
# In the folders that they have here, so that the links between them lead somewhere.
DOCUMENTS = README.md WIRE.md CHANGELOG.md SECURITY.md CONTRIBUTING.md

# NO_BUILD=1 takes the program that is there.
install: $(if $(NO_BUILD),,static)
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBDIR)/ct_sync $(DESTDIR)$(UNITDIR) \
		$(DESTDIR)$(LIBDIR)/sysctl.d $(DESTDIR)$(LIBDIR)/tmpfiles.d \
		$(DESTDIR)$(LIBDIR)/sysusers.d $(DESTDIR)$(LIBDIR)/modules-load.d \
		$(DESTDIR)$(OCFDIR) $(DESTDIR)$(MANDIR)/man8 \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR)/docs \
		$(DESTDIR)$(SYSCONFDIR) \
		$(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	strip --strip-all --remove-section=.comment -o $(DESTDIR)$(SBINDIR)/ct_sync $(STATIC_BINARY)
	chmod 755 $(DESTDIR)$(SBINDIR)/ct_sync
	strip --strip-all --remove-section=.comment \
		-o $(DESTDIR)$(LIBDIR)/ct_sync/ct_sync-exporter $(STATIC_BINARY)-exporter
	chmod 755 $(DESTDIR)$(LIBDIR)/ct_sync/ct_sync-exporter
	for script in $(SBIN_SCRIPTS); do \
		$(PLACE) $$script > $(DESTDIR)$(SBINDIR)/$${script##*/} && \
		chmod 755 $(DESTDIR)$(SBINDIR)/$${script##*/} || exit 1; done
	for script in $(LIB_SCRIPTS); do \
		$(PLACE) $$script > $(DESTDIR)$(LIBDIR)/ct_sync/$${script##*/} && \
		chmod 755 $(DESTDIR)$(LIBDIR)/ct_sync/$${script##*/} || exit 1; done
	$(PLACE) conf/pacemaker/ct_sync > $(DESTDIR)$(OCFDIR)/ct_sync
	chmod 755 $(DESTDIR)$(OCFDIR)/ct_sync
	$(PLACE) conf/systemd/ct_sync.service > $(DESTDIR)$(UNITDIR)/ct_sync.service
	$(PLACE) conf/systemd/ct_sync-dark.service > $(DESTDIR)$(UNITDIR)/ct_sync-dark.service
	$(PLACE) conf/systemd/ct_sync@.service > $(DESTDIR)$(UNITDIR)/ct_sync@.service
	for unit in $(MORE_UNITS); do \
		$(PLACE) $$unit > $(DESTDIR)$(UNITDIR)/$${unit##*/} || exit 1; done
	install -d $(DESTDIR)$(SYSCONFDIR)/logrotate.d
	install -m 644 conf/logrotate.d/ct_sync-flows $(DESTDIR)$(SYSCONFDIR)/logrotate.d
	install -m 644 conf/sysctl.d/50-ct_sync.conf $(DESTDIR)$(LIBDIR)/sysctl.d
	install -m 644 conf/tmpfiles.d/ct_sync.conf $(DESTDIR)$(LIBDIR)/tmpfiles.d
	install -m 644 conf/sysusers.d/ct_sync.conf $(DESTDIR)$(LIBDIR)/sysusers.d
	install -m 644 conf/modules-load.d/ct_sync.conf $(DESTDIR)$(LIBDIR)/modules-load.d
	$(PLACE) conf/keepalived/keepalived.conf > $(DESTDIR)$(DOCDIR)/examples/keepalived.conf
	$(PLACE) conf/keepalived/keepalived-l2drop.conf \
		> $(DESTDIR)$(DOCDIR)/examples/keepalived-l2drop.conf
	install -m 644 conf/nftables/ct_sync-link.nft conf/pacemaker/ct_sync.crmsh \
		$(DESTDIR)$(DOCDIR)/examples
	install -m 644 conf/ct_sync.conf conf/prometheus/alerts.yml $(DESTDIR)$(DOCDIR)/examples
	for file in $$(cd conf && find ansible -type f | sort); do \
		install -D -m 644 conf/$$file $(DESTDIR)$(DOCDIR)/examples/$$file || exit 1; done
	install -m 644 conf/grafana/ct_sync.json $(DESTDIR)$(DOCDIR)/examples/grafana.json
	$(PLACE) conf/snmp/ct_sync.snmpd.conf > $(DESTDIR)$(DOCDIR)/examples/ct_sync.snmpd.conf
	install -m 644 $(DOCUMENTS) $(DESTDIR)$(DOCDIR)
	install -m 644 docs/*.md $(DESTDIR)$(DOCDIR)/docs
	for page in man/*; do \
		gzip -9 --no-name < $$page \
			> $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}.gz || exit 1; done
	$(STATIC_BINARY) completion bash > $(DESTDIR)$(BASHDIR)/ct_sync
	$(STATIC_BINARY) completion zsh > $(DESTDIR)$(ZSHDIR)/_ct_sync
	$(STATIC_BINARY) completion fish > $(DESTDIR)$(FISHDIR)/ct_sync.fish
	[ -e $(DESTDIR)$(SYSCONFDIR)/ct_sync.conf ] \
		|| install -m 644 conf/ct_sync.conf $(DESTDIR)$(SYSCONFDIR)

# Leaves the configuration.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/ct_sync \
		$(foreach script,$(SBIN_SCRIPTS),$(DESTDIR)$(SBINDIR)/$(notdir $(script))) \
		$(DESTDIR)$(UNITDIR)/ct_sync.service $(DESTDIR)$(UNITDIR)/ct_sync@.service \
		$(DESTDIR)$(UNITDIR)/ct_sync-dark.service \
		$(foreach unit,$(MORE_UNITS),$(DESTDIR)$(UNITDIR)/$(notdir $(unit))) \
		$(DESTDIR)$(SYSCONFDIR)/logrotate.d/ct_sync-flows \
		$(DESTDIR)$(LIBDIR)/sysctl.d/50-ct_sync.conf \
		$(DESTDIR)$(LIBDIR)/tmpfiles.d/ct_sync.conf \
		$(DESTDIR)$(LIBDIR)/sysusers.d/ct_sync.conf \
		$(DESTDIR)$(LIBDIR)/modules-load.d/ct_sync.conf \
		$(foreach page,$(wildcard man/*),\
			$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)).gz) \
		$(DESTDIR)$(BASHDIR)/ct_sync $(DESTDIR)$(ZSHDIR)/_ct_sync $(DESTDIR)$(FISHDIR)/ct_sync.fish
	rm -rf $(DESTDIR)$(LIBDIR)/ct_sync $(DESTDIR)$(OCFDIR) $(DESTDIR)$(DOCDIR)

staged:
	packaging/stage $(STAGED)

deb: staged
	packaging/build-deb $(STAGED) .build/deb

rpm: staged
	packaging/build-rpm $(STAGED) .build/rpm

tarball: staged
	packaging/build-tarball $(STAGED) .build/tarball

release: deb rpm tarball
	packaging/release .build/release-$$(packaging/version version)

# After a change of the table of settings (Sources/CTSync/Settings): the sample file and the man pages.
documents:
	$(SWIFT) build --product ct_sync
	packaging/write-documents .build/debug/ct_sync

# Tests/together runs what stands between two "and" side by side: these tests mostly wait.
PACKAGE = .build/deb/ct-sync_*.deb
DEMO = $(firstword $(wildcard .build/testing/release/demo .build/release/demo))
# Holds documents and program together.
DOCUMENT_TESTS = Tests/packaging/documentation.sh $(STATIC_BINARY) $(PACKAGE) $(DEMO)
# Does what documents say, on pairs of machines.
WALKED = Tests/docs/quickstart.md docs/operating.md docs/migration.md docs/security.md docs/monitoring.md man/ct_sync.8 \
	Tests/docs/sentences.md
# The Debian package on this machine and on one that systemd runs. As root; keepalived is among the cluster
# tests too.
PACKAGING_TESTS = Tests/packaging/systemd.sh .build/deb \
	and Tests/packaging/completions.sh $(STATIC_BINARY) \
	and Tests/packaging/units.sh \
	and Tests/packaging/restart.sh \
	and Tests/monitoring/rules.sh \
	and Tests/packaging/hardened.sh $(STATIC_BINARY) \
	and Tests/packaging/other-user.sh $(STATIC_BINARY) \
	and Tests/packaging/deb.sh .build/deb \
	and Tests/packaging/lint.sh .build/deb
MANAGER_TESTS = Tests/managers/ocf-agent.sh $(STATIC_BINARY) \
	and Tests/managers/primary-backup.sh $(STATIC_BINARY) \
	and Tests/managers/module-2004.sh $(STATIC_BINARY) \
	and Tests/managers/import-conntrackd.sh $(STATIC_BINARY)

# keepalived's ways, and a daemon that is started before its sync link is there.
KEEPALIVED = Tests/managers/keepalived.md Tests/managers/late-link.md

docs-check: deb
	Tests/together Tests/docs/run $(PACKAGE) $(WALKED) and $(DOCUMENT_TESTS)

test-packaging: deb
	Tests/together $(PACKAGING_TESTS) and $(DOCUMENT_TESTS) \
		and Tests/packaging/reproducible.sh $(STAGED) deb

test-managers: static
	Tests/together $(MANAGER_TESTS)

# On two machines under systemd, through which a connection has to go on.
test-keepalived: deb
	Tests/docs/run $(PACKAGE) $(KEEPALIVED)

# Debian's Pacemaker, which the machines take from a folder: they have no way out.
PACEMAKER = /var/cache/ct_sync-pacemaker

test-pacemaker: deb
	mkdir -p $(PACEMAKER)/partial
	apt-get install --quiet --yes --download-only --no-install-recommends \
		-o Dir::Cache::archives=$(PACEMAKER) corosync pacemaker pacemaker-cli-utils crmsh
	Tests/docs/run $(PACKAGE) Tests/managers/pacemaker.md

# As root, like the tests of the packages; no part of "make test", as it compiles everything twice.
test-compilation: packages
	Tests/packaging/compilation.sh

# The packages as they are released, and all that is said above: the last part of "make test".
test-packages: release
	Tests/together $(foreach document,$(KEEPALIVED),Tests/docs/run $(PACKAGE) $(document) and) \
		Tests/docs/run $(PACKAGE) $(WALKED) \
		and Tests/packaging/upgrade.sh $(STAGED) .build/deb \
		and Tests/managers/migration.sh $(STATIC_BINARY) cached \
		and Tests/managers/migration.sh $(STATIC_BINARY) direct \
		and Tests/packaging/reproducible.sh $(STAGED) \
		and $(PACKAGING_TESTS) \
		and $(MANAGER_TESTS) \
		and $(DOCUMENT_TESTS) \
		and Tests/packaging/rpm.sh .build/rpm \
		and Tests/packaging/rpm-scripts.sh $(STAGED) .build/rpm \
		and Tests/packaging/tarball.sh .build/tarball \
		and Tests/packaging/release.sh .build/release-$$(packaging/version version)
