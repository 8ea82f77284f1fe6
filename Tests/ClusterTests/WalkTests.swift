// SPDX-License-Identifier: GPL-2.0-or-later

import ClusterSupport
import Foundation
import Glibc
import Synchronization
import Testing

extension ClusterTests {
    /// Walks of a master's table while something is in their way: `make test-walks`, alone on the machine.
    @Suite struct WalkTests {
        private static let isWanted = ProcessInfo.processInfo.environment["CTSYNC_WALKS"] != nil

        /// A slave that is much slower than its master, whose walk goes as fast as it can: one walk is
        /// enough, and it is never more than a window ahead of what the slave has applied.
        @Test(.enabled(if: isWanted, "make test-walks"))
        func aSlowSlaveNeedsOneWalk() throws {
            let (count, slots) = (8_000, 256)
            // A quarter of the ring; a piece of the dump goes out whole.
            let (window, piece) = (slots / 4, 24)
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<count, in: first.host)
                let flags = ["--ring-slots", "\(slots)", "--reconcile", "0"]
                try first.start(role: .master, flags + ["--initsync-rate", "1"])
                try second.start(role: .slave, flags)
                // The walk has begun, and goes on with a slave that mostly stands.
                try eventually("a walk", detail: { first.statusLine }) {
                    try first.count("initsync_entries_sent") > 0
                }
                let brake = Brake(try #require(second.daemon).pid)
                defer { brake.release() }
                #expect(try first.command(["initsync-rate", "0"]).status == 0)
                var farthest = 0
                try eventually("its end", within: 120, every: 0, detail: { first.statusLine }) {
                    guard let status = try first.status() else { return false }
                    farthest = max(farthest, status.number("behind_packets", of: "peers") ?? 0)
                    return status.text.contains("\"initsync_running\": false")
                }
                brake.release()
                try cluster.waitInSync()
                try second.waitForEqualTable(to: first, atLeast: count)
                // One that gets nowhere for a second is not waited for: a machine that is so busy shows
                // nothing.
                guard brake.longest < 0.5 else { return }
                #expect(farthest <= window + piece, "\(first.statusLine)")
                #expect(try first.count("initsyncs_sent") == 1)
                #expect(try first.count("initsync_entries_sent") == count)
                #expect(try second.count("packets_lost") == 0)
            }
        }

        /// nf_conntrack_buckets is halved while the table is walked: the dump skips entries, and what it
        /// has not named is not purged. The setting is the whole machine's.
        @Test(.enabled(if: isWanted && HashSize.isWritable, "make test-walks"))
        func aHashThatIsHalvedMeanwhileCostsNothing() throws {
            let count = 20_000
            let size = try HashSize()
            defer { size.restore() }
            try withCluster { cluster in
                let (first, second) = (cluster.firewalls[0], cluster.firewalls[1])
                try MadeEntries.create(0..<count, in: first.host)
                try cluster.startDaemons(["--initsync-rate", "0", "--reconcile", "0"])
                try second.waitForEqualTable(to: first, atLeast: count)
                let before = try first.count("initsync_entries_sent")
                #expect(try first.command(["initsync-rate", "100"]).status == 0)
                #expect(try first.command(["resync"]).status == 0)
                try eventually("a quarter of the walk", detail: { first.statusLine }) {
                    try first.count("initsync_entries_sent") >= before + count / 4
                }
                try size.halve()
                #expect(try first.command(["initsync-rate", "0"]).status == 0)
                try eventually("a walk that proved nothing", detail: { first.log }) {
                    first.log.contains("walks of the table that proved nothing")
                }
                try eventually("another walk", detail: { second.statusLine }) {
                    try second.count("initsyncs_received") >= 2
                        && second.status()?.isInSync == true
                }
                #expect(try second.count("purged") == 0)
                try second.waitForEqualTable(to: first, atLeast: count)
            }
        }
    }
}

/// Stops a process and continues it, again and again: it gets about a third of the time.
private final class Brake: Sendable {
    private let pid: pid_t
    private let isReleased = Atomic<Bool>(false)
    private let times = Mutex(0.0)
    private let thread = Mutex<Background?>(nil)

    init(_ pid: pid_t) {
        self.pid = pid
        let brake = Background(named: "cts_brake") { [self] in
            while !isReleased.load(ordering: .relaxed) {
                let start = Stopwatch.seconds()
                kill(pid, SIGSTOP)
                usleep(20_000)
                kill(pid, SIGCONT)
                let time = Stopwatch.seconds() - start
                times.withLock { $0 = max($0, time) }
                usleep(10_000)
            }
        }
        thread.withLock { $0 = brake }
    }

    /// The longest stop, in seconds.
    var longest: Double { times.withLock { $0 } }

    /// Lets the process go, for good.
    func release() {
        isReleased.store(true, ordering: .relaxed)
        thread.withLock { $0.take() }?.join()
    }
}
