// SPDX-License-Identifier: GPL-2.0-or-later

// The time from the write to the control file until the first forwarded packet, with l2drop on by
// either backend, with a few entries and with many: `make bench`.

import ClusterSupport
import Glibc

guard geteuid() == 0 else {
    print("The benchmark makes network namespaces and needs root.")
    exit(2)
}
do {
    let limit = try ConntrackLimit(atLeast: TakeoverBenchmark.large + 10_000)
    defer { limit.restore() }
    for backend in ["netdev", "tables"] {
        try TakeoverBenchmark(backend: backend).runAndClean()
    }
} catch {
    print("The benchmark itself failed: \(error)")
    exit(2)
}
