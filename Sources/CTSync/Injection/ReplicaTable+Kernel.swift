// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// What the kernel is to be told, and what it answers.
extension ReplicaTable {
    /// Hands out the dirty replicas, all deletions first, and takes what they came to.
    ///
    /// The kernel is supposed to do as told; where it does not, `failed` corrects the table. When all
    /// answers are there `settle` has to be called.
    ///
    /// - Parameter requests: takes each operation, in order.
    func drainDirty(into requests: (InjectOperation, UInt32) -> Void, now: UInt32) {
        let count = dirtyCount
        for index in 0..<count {
            let place = dirtyPlaces[index]
            let replica = pool.replicas + Int(place)
            let isStale =
                !replica.pointee.flags.contains(.alive)
                || replica.pointee.flags.contains(.recreate)
            guard isStale, replica.pointee.flags.contains(.inKernel) else { continue }
            let isRecreated = replica.pointee.flags.contains(.alive)
            replica.pointee.flags.subtract([.inKernel, .recreate])
            requests(.delete, place)
            if replica.pointee.fields.contains(.helper) {
                expectations.lostParent(replica.pointee.key, isRecreated: isRecreated)
            }
        }
        for index in 0..<count {
            let place = dirtyPlaces[index]
            let replica = pool.replicas + Int(place)
            replica.pointee.flags.remove(.dirty)
            guard replica.pointee.flags.contains(.alive) else {
                deadPlaces[deadCount] = place
                deadCount += 1
                continue
            }
            guard !replica.pointee.flags.contains(.insufficient) else { continue }
            let operation: InjectOperation =
                replica.pointee.flags.contains(.inKernel) ? .update : .create
            // Where the deletion has failed already `recreate` is set, and stays.
            replica.pointee.flags.insert(.inKernel)
            replica.pointee.heldAtSeconds = now
            requests(operation, place)
        }
        for index in count..<dirtyCount { dirtyPlaces[index - count] = dirtyPlaces[index] }
        dirtyCount -= count
    }

    /// Forgets the dead replicas that the kernel has deleted, but for what a running initsync needs.
    func settle() {
        for index in 0..<deadCount {
            let place = deadPlaces[index]
            let replica = pool.replicas[Int(place)]
            let isTombstone = isInitsyncRunning && replica.generation == generation
            if !isTombstone, !replica.flags.contains(.inKernel) { pool.remove(place) }
        }
        deadCount = 0
    }

    /// Corrects the table where the kernel refused an operation.
    ///
    /// - Parameter found: the kernel's entry where a creation found one in its place.
    /// - Returns: what is done about it.
    func failed(
        _ operation: InjectOperation, _ place: UInt32, _ errno: CInt, now: UInt32,
        found: Entry? = nil
    ) -> InjectRemedy {
        if operation == .delete { return deletionFailed(place, errno) }
        if isCreateOnly, operation == .create, errno == EEXIST { return .ignored }
        let replica = pool.replicas + Int(place)
        guard replica.pointee.flags.contains(.alive) else { return .ignored }
        let asked = request(at: place)
        var remedy = InjectRemedy(
            operation, errno, attempts: replica.pointee.attempts,
            hasParent: asked.fields.contains(.parent), hasHelper: asked.fields.contains(.helper))
        // A packet, or somebody by hand, has made another connection of the same tuple here.
        if remedy == .update, let found, Self.mustBecomeAnother(found, asked) { remedy = .recreate }
        replica.pointee.attempts += 1
        switch remedy {
        case .ignored:
            return remedy
        case .labelsIgnored:
            labelsIgnored += 1
            return remedy
        case .waitForParent:
            replica.pointee.flags.remove(.inKernel)
            if wait(place, now: now) { return remedy }
        case .createWithoutHelper:
            replica.pointee.flags.remove(.inKernel)
            replica.pointee.flags.insert(.helperless)
            missingHelpers.count(request: entry(at: place))
        case .update:
            replica.pointee.flags.insert(.inKernel)
        case .create:
            replica.pointee.flags.remove(.inKernel)
        case .recreate:
            replica.pointee.flags.formUnion([.inKernel, .recreate])
        case .refused:
            if replica.pointee.flags.contains(.recreate) {
                // Its deletion failed as well: the old one is still there.
                replica.pointee.flags.insert(.inKernel)
            } else if operation == .create {
                replica.pointee.flags.remove(.inKernel)
            }
            markRefused(place)
            return remedy
        }
        markDirty(place)
        return remedy
    }

    /// The entry to create or update, as the master described it.
    func entry(at place: UInt32) -> Entry {
        let replica = pool.replicas[Int(place)]
        var entry = Entry(replica.key)
        entry.reply = replica.reply
        entry.fields = replica.fields
        entry.status = Status(rawValue: UInt32(replica.status))
        entry.timeoutSeconds = replica.timeoutSeconds
        entry.mark = replica.mark
        entry.protocolInfo = replica.protocolInfo
        if replica.link != ReplicaPool.noPlace { entry.extras = pool.extras[Int(replica.link)] }
        return entry
    }

    /// The entry as the kernel is told of it: without a helper that this node lacks.
    func request(at place: UInt32) -> Entry {
        var entry = entry(at: place)
        if pool.replicas[Int(place)].flags.contains(.helperless) { entry.fields.remove(.helper) }
        return entry
    }

    /// Looks at the next `budget` replicas and marks dirty those whose long timeout is to be renewed,
    /// and those that the kernel refused, to be tried once more.
    func renew(budget: Int, now: UInt32) {
        let budget = refusedCount > 0 ? max(budget, Self.refusedBudget) : budget
        for _ in 0..<min(budget, pool.highWater) {
            if renewalCursor >= pool.highWater { renewalCursor = 0 }
            let replica = pool.replicas + renewalCursor
            let isOld =
                replica.pointee.flags.isSuperset(of: [.alive, .inKernel])
                && now &- replica.pointee.heldAtSeconds > Self.renewSeconds
            if isOld || replica.pointee.flags.contains(.refused) {
                replica.pointee.attempts = 0
                markDirty(UInt32(renewalCursor))
            }
            renewalCursor += 1
        }
    }

    private func markRefused(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        guard !replica.pointee.flags.contains(.refused) else { return }
        replica.pointee.flags.insert(.refused)
        refusedCount += 1
    }

    /// Remembers an entry that the kernel would not delete, so that it is tried again.
    private func deletionFailed(_ place: UInt32, _ errno: CInt) -> InjectRemedy {
        guard errno != ENOENT else { return .ignored }
        let replica = pool.replicas + Int(place)
        if replica.pointee.flags.contains(.alive) {
            // The creation that follows fails too, and is the one that counts as refused. None
            // follows where too little is known.
            replica.pointee.flags.insert(.recreate)
            guard replica.pointee.flags.contains(.insufficient) else { return .refused }
        }
        replica.pointee.flags.insert(.inKernel)
        markRefused(place)
        return .refused
    }

    /// Tries a refused replica again at the end of an initsync: what stood in its way, or what it
    /// waited for, may have changed.
    ///
    /// A connection whose parent is gone is made one that nobody expected: the kernel would refuse it
    /// for ever. Where the master comes after all, the connection is made anew.
    func tryAgain(_ place: UInt32, isComplete: Bool) {
        let isRelated = pool.replicas[Int(place)].fields.contains(.parent)
        if isComplete, isRelated, parentFlags(of: pool.replicas[Int(place)]) == nil {
            makeOrphan(place)
        }
        markDirty(place)
    }

    /// Whether the parent of an expectation is a replica.
    func holdsParent(of expectation: borrowing Expectation) -> Bool {
        var key = expectation.key
        key.tuple = expectation.parent
        return aliveFlags(key) != nil
    }

    /// The flags of the parent of a related connection; nil where it is not among the replicas.
    func parentFlags(of replica: Replica) -> Replica.Flags? {
        guard replica.link != ReplicaPool.noPlace else { return nil }
        var key = replica.key
        key.tuple = pool.extras[Int(replica.link)].parent
        return aliveFlags(key)
    }

    /// The flags of a replica that the master has; nil where there is none.
    private func aliveFlags(_ key: Key) -> Replica.Flags? {
        let place = pool.find(key)
        guard place != ReplicaPool.noPlace else { return nil }
        let flags = pool.replicas[Int(place)].flags
        return flags.contains(.alive) ? flags : nil
    }

    /// Whether no update can make the kernel's entry into what is requested.
    static func mustBecomeAnother(_ kernel: Entry, _ said: Entry) -> Bool {
        var before = kernel
        if !said.fields.contains(.parent) { before.extras.parent = said.extras.parent }
        if !said.fields.contains(.helper) { before.extras.helper = said.extras.helper }
        return needsRecreation(before, said)
    }

    /// Settles what an adopted entry and a replica that the stream has made meanwhile disagree about.
    func reconcile(_ place: UInt32, _ kernel: Entry, isTouched: Bool) {
        let replica = pool.replicas + Int(place)
        let isUnknown = !replica.pointee.flags.contains(.inKernel)
        replica.pointee.flags.insert(.inKernel)
        guard replica.pointee.flags.contains(.alive) else { return markDirty(place) }
        if isTouched { renewWindows(place) }
        if Self.mustBecomeAnother(kernel, request(at: place)) {
            replica.pointee.flags.insert(.recreate)
        }
        if isUnknown || replica.pointee.flags.contains(.recreate) { markDirty(place) }
    }

    /// Has a TCP entry that was there before made anew: the windows that the kernel remembers of it
    /// may be those of a time when this node was master. The stream has moved on since, and
    /// ctnetlink can set a window in no other way than by making the entry.
    func renewWindows(_ place: UInt32) {
        let replica = pool.replicas + Int(place)
        guard replica.pointee.key.tuple.protocolNumber == ProtocolNumber.tcp,
            replica.pointee.flags.contains(.inKernel)
        else { return }
        replica.pointee.flags.insert(.recreate)
    }
}
