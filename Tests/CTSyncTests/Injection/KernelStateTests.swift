// SPDX-License-Identifier: GPL-2.0-or-later

import Testing

@testable import CTSync

/// The transitions of a replica's kernel state, as a table.
@Suite struct KernelStateTests {
    private static let all: [KernelState] = [
        .absent, .creating, .held, .changing, .replacing, .removing, .waiting, .refused(.create),
        .refused(.change), .refused(.replace), .refused(.remove), .adopted(.change),
        .adopted(.replace),
    ]

    /// For each event what the states become, in the order of `all`; nil for those in which it does
    /// not happen.
    private static let rows: [(String, KernelState.Event, [KernelState?])] = [
        (
            "confirmed", .confirmed,
            [
                .creating, .creating, .held, .changing, .replacing, .removing, .waiting,
                .refused(.create), .refused(.change), .refused(.replace), .refused(.remove),
                .changing, .replacing,
            ]
        ),
        (
            "changed", .changed,
            [
                .creating, .creating, .changing, .changing, .replacing, .replacing, .creating,
                .creating, .changing, .replacing, .replacing, .changing, .replacing,
            ]
        ),
        (
            "became another", .becameAnother,
            [
                .creating, .creating, .replacing, .replacing, .replacing, .replacing, .creating,
                .creating, .replacing, .replacing, .replacing, .replacing, .replacing,
            ]
        ),
        (
            "ended", .ended,
            [
                .absent, .absent, .removing, .removing, .removing, .removing, .absent, .absent,
                .removing, .removing, .removing, .removing, .removing,
            ]
        ),
        (
            "changed here", .changedHere(isWorn: false),
            [
                .adopted(.change), .creating, .adopted(.change), .changing, .replacing, .removing,
                .waiting, .refused(.create), .refused(.change), .refused(.replace),
                .refused(.remove), .adopted(.change), .adopted(.replace),
            ]
        ),
        (
            "changed here, worn", .changedHere(isWorn: true),
            [
                .adopted(.replace), .creating, .adopted(.replace), .changing, .replacing, .removing,
                .waiting, .refused(.create), .refused(.change), .refused(.replace),
                .refused(.remove), .adopted(.change), .adopted(.replace),
            ]
        ),
        (
            "retried", .retried,
            [
                .absent, .creating, .held, .changing, .replacing, .removing, .creating, .creating,
                .changing, .replacing, .removing, .adopted(.change), .adopted(.replace),
            ]
        ),
        (
            "found", .found(isAnother: false),
            [
                .changing, .changing, .held, .changing, .replacing, .removing, .changing, .changing,
                .refused(.change), .refused(.replace), .removing, .adopted(.change),
                .adopted(.replace),
            ]
        ),
        (
            "another found", .found(isAnother: true),
            [
                .replacing, .replacing, .replacing, .replacing, .replacing, .removing, .replacing,
                .replacing, .replacing, .replacing, .removing, .adopted(.replace),
                .adopted(.replace),
            ]
        ),
        (
            "missing", .missing,
            [
                .absent, .creating, .creating, .creating, .creating, .absent, .waiting,
                .refused(.create), .creating, .creating, .absent, .creating, .creating,
            ]
        ),
        (
            "lost with its parent", .lostWithParent,
            [
                .absent, .creating, .absent, .absent, .absent, .absent, .waiting,
                .refused(.create), .absent, .absent, .absent, .absent, .absent,
            ]
        ),
        (
            "deletion asked", .deletionAsked(isHalf: false),
            [nil, nil, nil, nil, .creating, nil, nil, nil, nil, nil, nil, nil, nil]
        ),
        (
            "deletion of half asked", .deletionAsked(isHalf: true),
            [nil, nil, nil, nil, .absent, nil, nil, nil, nil, nil, nil, nil, nil]
        ),
        (
            "passed over", .passedOver,
            [nil, .absent, nil, .held, nil, nil, nil, nil, nil, nil, nil, nil, nil]
        ),
        (
            "written", .written,
            [
                nil, .held, nil, .held, nil, nil, nil, nil, nil, .refused(.replace), nil, nil, nil,
            ]
        ),
        (
            "deleted", .deleted,
            [.absent, .creating, nil, nil, nil, .absent, nil, nil, nil, nil, nil, nil, nil]
        ),
        (
            "deletion refused", .deletionRefused,
            [
                .refused(.replace), .refused(.replace), nil, nil, nil, .refused(.remove), nil, nil,
                nil, nil, nil, nil, nil,
            ]
        ),
        (
            "kept here", .keptHere,
            [
                nil, .held, .held, .held, .held, .removing, .waiting, .refused(.create),
                .refused(.change), .refused(.replace), .refused(.remove), .adopted(.change),
                .adopted(.replace),
            ]
        ),
    ]

    @Test func everyStateTakesEveryEvent() {
        for (name, event, states) in Self.rows {
            #expect(states.count == Self.all.count, "\(name)")
            for (before, wanted) in zip(Self.all, states) {
                guard let wanted else { continue }
                #expect(before.after(event) == wanted, "\(before), \(name)")
            }
        }
    }

    @Test(arguments: [
        (InjectRemedy.update, KernelState.changing, KernelState.changing),
        (.create, .creating, .creating), (.recreate, .replacing, .replacing),
        (.waitForParent, .waiting, .changing), (.createWithoutHelper, .creating, .changing),
        (.labelsIgnored, .creating, .held), (.refused, .refused(.create), .refused(.change)),
    ])
    func aRefusedWritingIsTakenAsItsRemedySays(
        _ remedy: InjectRemedy, _ creating: KernelState, _ changing: KernelState
    ) {
        #expect(KernelState.creating.after(.writingRefused(remedy)) == creating)
        #expect(KernelState.changing.after(.writingRefused(remedy)) == changing)
        // It was created, and given its time in the same batch.
        #expect(KernelState.held.after(.writingRefused(.refused)) == .refused(.change))
        // The deletion before it has been refused.
        let refused = KernelState.refused(.replace)
        #expect(refused.after(.writingRefused(remedy)) == refused)
    }

    @Test func whatAStateAsksForIsWhatItLacks() {
        for state in Self.all {
            let asks = state.firstRequest != nil || state.secondRequest != nil
            #expect(asks == state.isTask, "\(state)")
            if state.secondRequest == .create { #expect(state.hasNothing) }
            if state.firstRequest == .delete || state.secondRequest == .update {
                #expect(!state.hasNothing)
            }
            if state.isThere { #expect(!state.hasNothing) }
            if state.isOutlived { #expect(!state.hasNothing && !state.isThere) }
        }
    }

    @Test func aPlaceTakesNoMoreThanItDid() {
        // 104 bytes: of the reply tuple no more than an IPv4 one takes.
        let byteCount =
            MemoryLayout<Replica>.stride + MemoryLayout<Injection>.stride
            + 2 * MemoryLayout<UInt32>.stride
        #expect(MemoryLayout<Replica>.stride == 88 && MemoryLayout<Injection>.stride == 8)
        #expect(byteCount <= 104)
    }
}
