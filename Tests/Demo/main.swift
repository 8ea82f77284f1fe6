// SPDX-License-Identifier: GPL-2.0-or-later

// A takeover that a person can watch: `make demo`, and `make demo SYNC=off` for the same without
// replication. Exit status 0 only if everything that should survive did.

import Glibc

guard geteuid() == 0 else {
    print("The demo makes network namespaces and needs root.")
    exit(2)
}
let words = CommandLine.arguments.dropFirst()
guard words.isEmpty || words == ["--sync=on"] || words == ["--sync=off"] else {
    print("usage: demo [--sync=on|--sync=off]")
    exit(64)
}
do {
    let survived = try Demo(replicates: words != ["--sync=off"]).runAndClean()
    exit(survived ? 0 : 1)
} catch {
    print("The demo itself failed: \(error)")
    exit(2)
}
