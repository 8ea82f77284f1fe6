// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What the kernel is asked for, and its answers.
///
/// An injector begins a round, takes its requests until there are none, and gives back the answer to
/// each. A refusal may queue a replica once more: for the next round.
extension ReplicaTable {
    /// The next request of a round, with its place; nil at its end.
    ///
    /// - Parameter mayReplace: whether what the kernel has in a place may be deleted for the replica; else it
    ///   was kept.
    func nextRequest(
        _ round: inout KernelBook.Round, now: UInt32, mayReplace: (UInt32) -> Bool = { _ in true }
    ) -> (InjectOperation, UInt32)? {
        while let place = kernel.nextToLookAt(&round) {
            guard let request = kernel[place].state.firstRequest else { continue }
            let replica = book.pool.replicas[Int(place)]
            let isRecreated = kernel[place].state == .replacing
            if isRecreated {
                guard round.mayRecreate(hasRoom) else {
                    move(place, .deletionRefused)
                    continue
                }
                guard mayReplace(place) else { continue }
                kernel.writeFirst(&round)
                leaveOutLostParent(place)
                move(place, .deletionAsked(isHalf: !replica.isSufficient))
            }
            if mayHaveHelper(place) {
                expectations.lostParent(replica.key, isRecreated: isRecreated)
            }
            kernel[place].marks.insert(.askedToGo)
            return (request, place)
        }
        while let place = kernel.dequeue(&round) {
            release(place)
            guard let request = kernel[place].state.secondRequest else {
                kernel.keepForNextRound(place)
                continue
            }
            guard book.pool.replicas[Int(place)].isSufficient else {
                move(place, .passedOver)
                continue
            }
            kernel[place].heldAtSeconds = now
            return (request, place)
        }
        return nil
    }

    /// Takes that the kernel has done as it was asked.
    func done(_ operation: InjectOperation, _ place: UInt32) {
        if operation == .create { kernel[place].marks.subtract([.labelless, .helped]) }
        move(place, operation == .delete ? .deleted : .written)
        if operation == .create { mayExpect(place) }
    }

    /// Takes that the kernel refused a request.
    ///
    /// - Parameters:
    ///   - found: the kernel's entry if a creation found one in its place.
    ///   - isBlocked: whether it is another connection that is in its place, as far as can be told: it is not
    ///     to be changed.
    ///   - isKept: whether what is in its place stays: this node is master, and knows better.
    /// - Returns: what is done about it.
    func failed(
        _ operation: InjectOperation, _ place: UInt32, _ errno: CInt, now: UInt32,
        found: Entry? = nil, isBlocked: Bool = false, isKept: Bool = false
    ) -> InjectRemedy {
        if operation == .delete {
            move(place, errno == ENOENT ? .deleted : .deletionRefused)
            return errno == ENOENT ? .ignored : .refused
        }
        if isKept {
            move(place, .keptHere)
            return .ignored
        }
        // The deletion before it was refused, and that was the answer.
        guard kernel[place].state.secondRequest == operation else { return .ignored }
        // Its expectations went with it.
        if operation == .update, errno == ENOENT, mayHaveHelper(place) {
            expectations.lostParent(book.pool.replicas[Int(place)].key, isRecreated: true)
        }
        if let found {
            noteHelper(of: found, place)
            completeHalf(place, found, now: now)
        }
        let asked = request(at: place)
        var remedy = InjectRemedy(
            operation, errno, attempts: Int(kernel[place].attempts),
            hasParent: asked.fields.contains(.parent), hasHelper: asked.fields.contains(.helper))
        // A packet, or somebody by hand, has made another connection of the same tuple here.
        if remedy == .update, isBlocked { remedy = .create }
        if remedy == .update, let found, Self.mustBecomeAnother(found, asked) { remedy = .recreate }
        if remedy != .waitForParent { kernel[place].attempts += 1 }
        switch remedy {
        case .labelsIgnored:
            labelsIgnored += 1
            kernel[place].marks.insert(.labelless)
        case .waitForParent: if !wait(place, now: now) { remedy = .create }
        case .createWithoutHelper: lacksHelper(place)
        case .refused: stopWaiting(place)
        case .ignored, .update, .create, .recreate: break
        }
        move(place, .writingRefused(remedy))
        return remedy
    }

    /// Takes from the kernel's entry of a connection what its master has not said of it.
    private func completeHalf(_ place: UInt32, _ found: Entry, now: UInt32) {
        guard found.key == book.pool.replicas[Int(place)].key else { return }
        var entry = found
        entry.prepareForReplication()
        book.completeHalf(place, entry, now: now)
    }

    /// Whether the kernel's entry of a replica may have a helper, and expectations that go with it.
    func mayHaveHelper(_ place: UInt32) -> Bool {
        let replica = book.pool.replicas[Int(place)]
        return replica.fields.contains(.helper) || !replica.isSufficient
            || kernel[place].marks.contains(.helped)
    }

    /// Records that the kernel's entry of a replica has a helper.
    func noteHelper(of entry: Entry, _ place: UInt32) {
        if entry.fields.contains(.helper) { kernel[place].marks.insert(.helped) }
    }

    /// The entry as the kernel is told of it: without a helper that this node lacks, and without a
    /// parent that did not come.
    func request(at place: UInt32) -> Entry {
        var entry = book.entry(at: place)
        if kernel[place].marks.contains(.helperless) { entry.fields.remove(.helper) }
        if kernel[place].parenthood == .leftOut { entry.fields.remove(.parent) }
        return entry
    }

    /// Whether no update can make the kernel's entry into what is requested.
    static func mustBecomeAnother(_ kernel: Entry, _ said: Entry) -> Bool {
        var before = kernel
        if !said.fields.contains(.parent) { before.extras.parent = said.extras.parent }
        if !said.fields.contains(.helper) { before.extras.helper = said.extras.helper }
        return ReplicaBook.needsRecreation(before, said)
    }
}
