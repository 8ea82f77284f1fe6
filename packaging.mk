# SPDX-License-Identifier: GPL-2.0-or-later

# Installation and the Debian package; included by the Makefile.
#
#   make install DESTDIR=/some/root PREFIX=/usr
#   make deb                                      .build/deb/ct-sync_VERSION_ARCHITECTURE.deb
#
# Both take the daemon built with the Swift runtime inside, so that it needs C libraries only.

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

.PHONY: static install uninstall deb documents test-packaging test-managers

static:
	swift build -c release --static-swift-stdlib --product ct_sync --scratch-path $(STATIC)

# Pieces that name the program's place are written for PREFIX=/usr.
PLACE = sed -e 's|/usr/sbin/|$(SBINDIR)/|g' -e 's|/usr/lib/ct_sync/|$(LIBDIR)/ct_sync/|g'

install: static
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBDIR)/ct_sync $(DESTDIR)$(UNITDIR) \
		$(DESTDIR)$(LIBDIR)/sysctl.d $(DESTDIR)$(LIBDIR)/tmpfiles.d \
		$(DESTDIR)$(LIBDIR)/modules-load.d $(DESTDIR)$(OCFDIR) $(DESTDIR)$(MANDIR)/man8 \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(SYSCONFDIR) \
		$(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	install -m 755 -s $(STATIC_BINARY) $(DESTDIR)$(SBINDIR)/ct_sync
	$(PLACE) conf/ct_sync-role > $(DESTDIR)$(SBINDIR)/ct_sync-role
	$(PLACE) conf/keepalived/ct_sync-notify > $(DESTDIR)$(LIBDIR)/ct_sync/ct_sync-notify
	$(PLACE) conf/pacemaker/ct_sync > $(DESTDIR)$(OCFDIR)/ct_sync
	chmod 755 $(DESTDIR)$(SBINDIR)/ct_sync-role $(DESTDIR)$(LIBDIR)/ct_sync/ct_sync-notify \
		$(DESTDIR)$(OCFDIR)/ct_sync
	$(PLACE) conf/systemd/ct_sync.service > $(DESTDIR)$(UNITDIR)/ct_sync.service
	$(PLACE) conf/systemd/ct_sync@.service > $(DESTDIR)$(UNITDIR)/ct_sync@.service
	install -m 644 conf/sysctl.d/50-ct_sync.conf $(DESTDIR)$(LIBDIR)/sysctl.d
	install -m 644 conf/tmpfiles.d/ct_sync.conf $(DESTDIR)$(LIBDIR)/tmpfiles.d
	install -m 644 conf/modules-load.d/ct_sync.conf $(DESTDIR)$(LIBDIR)/modules-load.d
	$(PLACE) conf/keepalived/keepalived.conf > $(DESTDIR)$(DOCDIR)/examples/keepalived.conf
	$(PLACE) conf/keepalived/keepalived-l2drop.conf \
		> $(DESTDIR)$(DOCDIR)/examples/keepalived-l2drop.conf
	install -m 644 conf/nftables/ct_sync-link.nft conf/pacemaker/ct_sync.crmsh \
		$(DESTDIR)$(DOCDIR)/examples
	install -m 644 conf/ct_sync.conf $(DESTDIR)$(DOCDIR)/examples
	install -m 644 README.md WIRE.md docs/filters.md $(DESTDIR)$(DOCDIR)
	gzip -9 --no-name < man/ct_sync.8 > $(DESTDIR)$(MANDIR)/man8/ct_sync.8.gz
	gzip -9 --no-name < man/ct_sync-role.8 > $(DESTDIR)$(MANDIR)/man8/ct_sync-role.8.gz
	gzip -9 --no-name < man/ct_sync.conf.5 > $(DESTDIR)$(MANDIR)/man5/ct_sync.conf.5.gz
	$(STATIC_BINARY) completion bash > $(DESTDIR)$(BASHDIR)/ct_sync
	$(STATIC_BINARY) completion zsh > $(DESTDIR)$(ZSHDIR)/_ct_sync
	$(STATIC_BINARY) completion fish > $(DESTDIR)$(FISHDIR)/ct_sync.fish
	[ -e $(DESTDIR)$(SYSCONFDIR)/ct_sync.conf ] \
		|| install -m 644 conf/ct_sync.conf $(DESTDIR)$(SYSCONFDIR)

# Leaves the configuration.
uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/ct_sync $(DESTDIR)$(SBINDIR)/ct_sync-role \
		$(DESTDIR)$(UNITDIR)/ct_sync.service $(DESTDIR)$(UNITDIR)/ct_sync@.service \
		$(DESTDIR)$(LIBDIR)/sysctl.d/50-ct_sync.conf \
		$(DESTDIR)$(LIBDIR)/tmpfiles.d/ct_sync.conf \
		$(DESTDIR)$(LIBDIR)/modules-load.d/ct_sync.conf \
		$(DESTDIR)$(MANDIR)/man8/ct_sync.8.gz $(DESTDIR)$(MANDIR)/man8/ct_sync-role.8.gz \
		$(DESTDIR)$(MANDIR)/man5/ct_sync.conf.5.gz $(DESTDIR)$(BASHDIR)/ct_sync \
		$(DESTDIR)$(ZSHDIR)/_ct_sync $(DESTDIR)$(FISHDIR)/ct_sync.fish
	rm -rf $(DESTDIR)$(LIBDIR)/ct_sync $(DESTDIR)$(OCFDIR) $(DESTDIR)$(DOCDIR)

deb: static
	packaging/build-deb .build/deb

# After a change of the table of settings (Sources/CTSync/Settings): the sample file and the man pages.
documents:
	swift build --product ct_sync
	packaging/write-documents .build/debug/ct_sync

# Both as root; keepalived is among the cluster tests.
test-packaging: deb
	Tests/packaging/documentation.sh $(STATIC_BINARY)
	Tests/packaging/completions.sh $(STATIC_BINARY)
	Tests/packaging/units.sh
	Tests/packaging/hardened.sh $(STATIC_BINARY)
	Tests/packaging/deb.sh .build/deb
	Tests/packaging/systemd.sh .build/deb

test-managers: static
	Tests/managers/ocf-agent.sh $(STATIC_BINARY)
