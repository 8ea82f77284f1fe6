// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc
import Testing

@testable import CTSync

/// What is set, read before it is written; and what a walk of the table proves.
@Suite struct KeptSettingTests {
    @Test(
        arguments: [
            // The value, whether /proc/sys is read-only, what follows, and the value then.
            (1, false, .right, 1), (1, true, .right, 1), (2, false, .set, 1),
            (2, true, .tolerable(EROFS), 2), (0, false, .mended, 1), (0, true, .wrong(EROFS), 0),
        ] as [(UInt64, Bool, KeptSetting.State, UInt64)])
    func aSettingIsReadBeforeItIsWritten(
        _ value: UInt64, _ isReadOnly: Bool, _ state: KeptSetting.State, _ after: UInt64
    ) throws {
        let kernel = SimulatedKernel(Chance(seed: 1))
        kernel.eventsSetting = value
        kernel.isReadOnly = isReadOnly
        #expect(try KeptSetting.events.keep(in: kernel) == state)
        #expect(kernel.eventsSetting == after)
        #expect(kernel.calls.names.contains { $0.hasPrefix("write") } == (value != 1))
        #expect((KeptSetting.events.sentence(state) == nil) == (value == 1 || state == .set))
    }

    @Test(
        arguments: [
            // Buckets and events at the end, entries at begin and end, seen, and the verdict.
            (512, 1, 10, 10, 10, true), (256, 1, 10, 10, 10, false), (512, 0, 10, 10, 10, false),
            (512, 2, 10, 10, 10, true), (512, 1, 10, 10, 0, true),
            (512, 1, 20_000, 20_000, 20_000, true), (512, 1, 20_000, 20_000, 9_999, false),
            (512, 1, 20_000, 100, 60, true), (512, 1, 20_000, 16_000, 8_000, true),
        ] as [(UInt64, UInt64, UInt64, UInt64, UInt64, Bool)])
    func aWalkProvesOnlyWhatWasTheSameAllTheWhile(
        _ buckets: UInt64, _ events: UInt64, _ begin: UInt64, _ end: UInt64, _ seen: UInt64,
        _ isProved: Bool
    ) {
        let before = WalkConditions(buckets: 512, events: 1, count: begin)
        let after = WalkConditions(buckets: buckets, events: events, count: end)
        #expect(before.prove(after, seen: seen) == isProved)
    }
}
