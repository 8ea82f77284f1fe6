// SPDX-License-Identifier: GPL-2.0-or-later

/// What this node's kernel has of a connection or an expectation, and what is asked of it next.
///
/// This file is the whole table: `after` has a row for each event, `request` what a state asks for.
/// Those who hold a state give it events and nothing else. A state that asks for something
/// (`isTask`) is queued until it is handed out; then the kernel's answer is the next event.
enum KernelState: Equatable, BitwiseCopyable {
    /// The kernel has nothing of it, and nothing is asked for.
    case absent
    /// The kernel has nothing of it: it is to be created.
    case creating
    /// The kernel has it as the master described it.
    case held
    /// The kernel has it: it is to be changed.
    case changing
    /// The kernel has another of its key, which cannot be changed into it: it is to be deleted, and
    /// this one created.
    case replacing
    /// The master has it no more: it is to be deleted.
    case removing
    /// The kernel has nothing of it, as its parent is not there.
    case waiting
    /// The kernel has refused this task, and is asked again later or when the master speaks of it.
    case refused(Task)
    /// The kernel had it before the node was slave: the master's next word is this task, whatever it
    /// says, as what was read may be older than what was written last.
    case adopted(Task)

    /// What is to be done to the kernel's entry.
    enum Task: UInt8, BitwiseCopyable {
        case create
        case change
        case replace
        case remove
    }

    // MARK: Events

    /// What happens to a connection or an expectation.
    enum Event {
        /// The master spoke of it, and what it said is known.
        case confirmed
        /// The master said something that the kernel's can be changed into; or its time is due.
        case changed
        /// The master said something that only another can become.
        case becameAnother
        /// The master has it no more.
        case ended

        /// Packets have made or changed the kernel's entry itself, which is to become another with the
        /// master's next word if its windows are worn.
        case changedHere(isWorn: Bool)

        /// What it waited for has come, or it has waited long enough.
        case retried
        /// A dump of the kernel's table shows it; of another kind if no update makes it this one.
        case found(isAnother: Bool)
        /// The kernel should have it and has not.
        case missing
        /// The kernel has removed it together with its parent.
        case lostWithParent

        /// What is to be replaced is being deleted; too little is known to create it if `isHalf`.
        case deletionAsked(isHalf: Bool)
        /// It was its turn, but too little is known of it.
        case passedOver

        /// What it was asked for may have been done or not: it is asked again.
        case unanswered
        /// The kernel has created or changed it.
        case written
        /// The kernel has deleted what it had, or had nothing.
        case deleted
        /// The kernel would not delete what it has.
        case deletionRefused
        /// The kernel would not create or change it, and this is what helps.
        case writingRefused(InjectRemedy)
        /// What the kernel has in its place stays, and is it from now on.
        case keptHere

        /// Whether it answers the deletion of what is replaced, whose creation is asked for already, or
        /// still queued: nothing more is to be asked.
        var isDeletion: Bool {
            if case .deleted = self { true } else { false }
        }
    }

    /// The state after an event.
    func after(_ event: Event) -> KernelState {
        switch event {
        case .confirmed: afterConfirmation
        case .changed: afterChange
        case .becameAnother: hasNothing ? .creating : .replacing
        case .ended: hasNothing ? .absent : .removing
        case .changedHere(let isWorn):
            self == .held || self == .absent ? .adopted(isWorn ? .replace : .change) : self
        case .retried: afterRetry
        case .found(let isAnother): afterDiscovery(isAnother: isAnother)
        case .missing: afterLoss(isWanted: true)
        case .lostWithParent: afterLoss(isWanted: false)
        case .deletionAsked(let isHalf): isHalf ? .absent : .creating
        case .passedOver: hasNothing ? .absent : .held
        case .unanswered: self
        case .written: afterWriting
        case .deleted: self == .removing ? .absent : self
        case .deletionRefused: self == .removing ? .refused(.remove) : .refused(.replace)
        case .writingRefused(let remedy): afterRefusal(remedy)
        case .keptHere: secondRequest != nil || self == .replacing ? .held : self
        }
    }

    private var afterConfirmation: KernelState {
        switch self {
        case .absent: .creating
        case .adopted(let task): Self.asking(for: task)
        default: self
        }
    }

    private var afterChange: KernelState {
        switch self {
        case .absent, .creating, .waiting, .refused(.create), .adopted(.create): .creating
        case .held, .changing, .refused(.change), .adopted(.change): .changing
        case .replacing, .removing, .refused, .adopted: .replacing
        }
    }

    private var afterRetry: KernelState {
        switch self {
        case .waiting: .creating
        case .refused(let task): Self.asking(for: task)
        default: self
        }
    }

    private func afterDiscovery(isAnother: Bool) -> KernelState {
        switch self {
        case .absent, .creating, .waiting, .refused(.create): isAnother ? .replacing : .changing
        case .adopted: isAnother ? .adopted(.replace) : self
        case .removing, .refused(.remove): .removing
        case .held, .changing, .replacing, .refused: isAnother ? .replacing : self
        }
    }

    private func afterLoss(isWanted: Bool) -> KernelState {
        switch self {
        case .held, .changing, .replacing, .adopted, .refused(.change), .refused(.replace):
            isWanted ? .creating : .absent
        case .removing, .refused(.remove): .absent
        case .absent, .creating, .waiting, .refused(.create): self
        }
    }

    private var afterWriting: KernelState {
        switch self {
        case .creating, .changing: .held
        // The deletion before it was refused: the old one is still there.
        default: self
        }
    }

    private func afterRefusal(_ remedy: InjectRemedy) -> KernelState {
        switch (self, remedy) {
        case (.creating, .update): .changing
        case (.creating, .create), (.changing, .create), (.creating, .createWithoutHelper):
            .creating
        case (.creating, .recreate), (.changing, .recreate): .replacing
        case (.creating, .waitForParent): .waiting
        case (.changing, .labelsIgnored): .held
        case (.creating, .refused): .refused(.create)
        case (.held, .refused), (.changing, .refused): .refused(.change)
        // As above: the refused deletion has said what follows.
        default: self
        }
    }

    // MARK: What a state means

    /// Whether something is to be asked of the kernel.
    var isTask: Bool {
        switch self {
        case .creating, .changing, .replacing, .removing: true
        case .absent, .held, .waiting, .refused, .adopted: false
        }
    }

    /// Whether the kernel has nothing of its key, as far as is known.
    var hasNothing: Bool {
        switch self {
        case .absent, .creating, .waiting, .refused(.create), .adopted(.create): true
        default: false
        }
    }

    /// Whether the kernel has this one, if perhaps not as it is now: what belongs to it can be made.
    var isThere: Bool {
        switch self {
        case .held, .changing, .refused(.change), .adopted(.change): true
        default: false
        }
    }

    /// Whether the kernel has another of its key still, or this one after its end.
    var isOutlived: Bool {
        switch self {
        case .replacing, .removing, .refused(.replace), .refused(.remove): true
        default: false
        }
    }

    var isRefused: Bool {
        if case .refused = self { true } else { false }
    }

    /// What goes to the kernel with the deletions, before anything is written.
    var firstRequest: InjectOperation? {
        self == .replacing || self == .removing ? .delete : nil
    }

    /// What is written after the deletions.
    var secondRequest: InjectOperation? {
        switch self {
        case .creating: .create
        case .changing: .update
        default: nil
        }
    }

    private static func asking(for task: Task) -> KernelState {
        switch task {
        case .create: .creating
        case .change: .changing
        case .replace: .replacing
        case .remove: .removing
        }
    }
}
