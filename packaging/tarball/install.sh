#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs ct_sync from this directory, or removes it again.
#
#   ./install.sh [--prefix /usr/local] [--destdir /some/root] [--remove]
#
# The configuration, /etc/ct_sync.conf, is made if it is not there, and never removed. Nothing is enabled
# or started; a daemon that runs keeps the old program until it is restarted, which the last line says.

set -eu
cd "$(dirname "$0")"
prefix=/usr/local
destdir=
remove=no
usage() {
    echo "usage: ./install.sh [--prefix /usr/local] [--destdir /some/root] [--remove]" >&2
    exit 64
}
while [ $# -gt 0 ]; do
    case $1 in
        --prefix | --destdir)
            [ $# -ge 2 ] || usage
            case $2 in /*) ;; *) usage ;; esac
            case $1 in --prefix) prefix=${2%/} ;; *) destdir=${2%/} ;; esac
            shift 2
            ;;
        --remove)
            remove=yes
            shift
            ;;
        *) usage ;;
    esac
done

# Where a file of the root goes: below the prefix, but for Pacemaker's agent, which is looked for in
# one place only.
place() {
    case $1 in
        usr/lib/ocf/*) echo "/$1" ;;
        lib/*) echo "$prefix/$1" ;;
        usr/*) echo "$prefix/${1#usr/}" ;;
        *) echo "/$1" ;;
    esac
}
files=$(cd root && find . -type f | sed 's|^\./||' | sort)

if [ "$remove" = yes ]; then
    for file in $files; do
        case $file in etc/*) continue ;; esac
        rm -f "$destdir$(place "$file")"
    done
    for directory in lib/ct_sync share/doc/ct-sync; do
        find "$destdir$prefix/$directory" -depth -type d -exec rmdir {} ';' 2> /dev/null || :
    done
    rmdir "$destdir/usr/lib/ocf/resource.d/ct_sync" 2> /dev/null || :
    exit 0
fi

umask 022
for file in $files; do
    target=$destdir$(place "$file")
    case $file in etc/*) [ ! -e "$target" ] || continue ;; esac
    mkdir -p "${target%/*}"
    rm -f "$target"
    case $file in
        # Programs, and what is compressed, name no place.
        usr/sbin/ct_sync | usr/lib/ct_sync/ct_sync-exporter | *.gz) cp "root/$file" "$target" ;;
        *)
            sed -e "s|/usr/sbin/|$prefix/sbin/|g" -e "s|/usr/lib/ct_sync/|$prefix/lib/ct_sync/|g" \
                "root/$file" > "$target"
            ;;
    esac
    if [ -x "root/$file" ]; then chmod 755 "$target"; else chmod 644 "$target"; fi
done

# The Swift runtime is inside the program; these are not.
if missing=$(ldd "root/usr/sbin/ct_sync" | grep 'not found'); then
    echo "These libraries are missing; their packages are mostly named like them:" >&2
    echo "$missing" >&2
    exit 1
fi
if [ -z "$destdir" ]; then
    getent group ct_sync > /dev/null || groupadd --system ct_sync
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
fi
# A process goes on with the program that it was started with, whose file is deleted.
if readlink /proc/[0-9]*/exe | grep -qxF -e "$destdir$prefix/sbin/ct_sync (deleted)" \
    -e "$destdir$prefix/lib/ct_sync/ct_sync-exporter (deleted)"; then
    echo "The old ct_sync is still running. To restart it in its role: $prefix/lib/ct_sync/ct_sync-restart"
    exit 0
fi
echo "ct_sync is in $prefix/sbin. Put syncdev and id into /etc/ct_sync.conf, then: systemctl enable --now ct_sync"
