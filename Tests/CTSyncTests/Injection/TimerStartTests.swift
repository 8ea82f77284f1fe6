// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// The replicas' timers on a kernel that refuses some of the requests.
@Suite struct TimerStartTests {
    private static func kernel(refusing permille: Int) -> SimulatedKernel {
        let kernel = SimulatedKernel(Chance(seed: 1))
        for port: UInt16 in 1...20 {
            let entry = SampleEntries.entry(SampleEntries.tuple(ProtocolNumber.udp, port, 53))
            _ = kernel.table.insert(entry, seconds: ReplicaTable.holdSeconds, .daemon)
        }
        kernel.faults = permille
        return kernel
    }

    private static func isHeld(_ kernel: SimulatedKernel) -> Bool {
        kernel.table.slots.keys.contains { StandbyTime.mayBe(kernel.table.secondsLeft($0)) }
    }

    /// Nobody would give it its time later.
    @Test func whatTheKernelRefusesIsAskedForAgain() throws {
        let kernel = Self.kernel(refusing: 300)
        let timers = TimerStart()
        timers.finish(kernel, try ReplicaTable(capacity: 64, seed: 1), includesUnread: true) { 0 }
        #expect(!Self.isHeld(kernel))
        #expect(timers.failureCount > 0)
    }

    /// A kernel that refuses all is not asked for ever.
    @Test func aWalkThatIsAlwaysRefusedEnds() throws {
        let kernel = Self.kernel(refusing: 1_000)
        let timers = TimerStart()
        timers.finish(kernel, try ReplicaTable(capacity: 64, seed: 1), includesUnread: true) { 0 }
        #expect(Self.isHeld(kernel))
        #expect(timers.failureCount == 4)
    }
}
