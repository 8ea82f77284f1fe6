// SPDX-License-Identifier: GPL-2.0-or-later

/// A slave without threads and system calls of its own: packets in, kernel requests and packets out,
/// answers taken.
///
/// ```
/// link --SYNC--> SlaveProtocol (order, gaps) --messages--> ReplicaTable --dirty--> Injector --> kernel
///                     |--NACK, SLAVE_INITSYNC--> link            ^---Adoption, KernelCheck-- dump --|
/// ```
///
/// 1. `receive`: each packet goes to the protocol, which merges its messages into the replica table.
/// 2. `work`: inject what that made dirty, and take what the kernel refused; read the kernel's own
///    entries after becoming slave; put right what others have changed in the kernel; compare the
///    kernel with the table at intervals; renew long timeouts a few at a time.
/// 3. `output`: what is due: NACKs, requests for an initsync, reports.
///
/// Thread: the link's. It owns the replica table while the node is slave. Memory is taken at start.
final class SlaveEngine {
    /// How often replicas are looked at for renewal.
    static let renewInterval = 1 * Duration.second
    /// How often those are looked at that wait for a parent, when no packet comes.
    static let waitInterval = 20 * Duration.millisecond

    /// The most that is injected of what an initsync copies before it is looked for live messages again;
    /// the rest of what has been received waits.
    static let copiesAtOnce = 96

    /// How often a batch is sent that fails.
    private static let attempts = 3

    let slave: SlaveProtocol
    let injector: Injector
    let expectations: ExpectationInjector
    private let lookup: any EntryLookup
    private(set) var adoption: Adoption
    private(set) var check: KernelCheck
    /// What others do to the kernel.
    let watch: KernelWatch
    private var strays: StrayLooks
    /// When a master was first heard since the node became slave.
    private var heardAt: Instant?
    /// How long after that neighbours may still send here what was this node's as master.
    static let strayTime = 3 * Duration.second
    /// Whether a connection began since this node, a master that lacks something, was promoted; nil
    /// if that was not recorded.
    var beganInTerm: (Key) -> Bool? = { _ in false }
    /// Whether this kernel was found to send no events while the node was master.
    var wasMuteAsMaster: () -> Bool = { false }
    private var renewAt: Instant = 0
    /// It is not slave any more: a failed batch does not throw the table away.
    private var isFinished = false
    /// It was slave.
    private var hasBegun = false
    /// Whether the kernel's own entries were not read whole since the node became slave: what is
    /// on hold there may be a replica that this process does not know.
    private(set) var hasUnread = true
    /// Batches, dumps and checks that failed.
    private(set) var injectionFailures: UInt64 = 0
    /// What `output` has handed out.
    private(set) var packetsSent: UInt64 = 0
    private(set) var bytesSent: UInt64 = 0
    /// Those of them that the network refused; the link's thread counts them.
    var packetsRefused: UInt64 = 0

    /// Opens what a slave asks of its kernel.
    ///
    /// - Parameter reconcileSeconds: between two comparisons with the kernel; 0 for none.
    init(
        _ slave: SlaveProtocol, _ kernel: any KernelTable, reconcileSeconds: UInt32 = 0
    ) throws(SystemError) {
        self.slave = slave
        injector = try Injector(try kernel.makeRequests(), try kernel.makeLookup())
        lookup = try kernel.makeLookup()
        expectations = try ExpectationInjector(try kernel.makeRequests())
        adoption = Adoption(try kernel.makeWalk())
        check = KernelCheck(try kernel.makeWalk(), intervalSeconds: reconcileSeconds)
        watch = KernelWatch(kernel, lookup)
        strays = StrayLooks(try kernel.makeWalk())
        slave.table.hasRoom = { kernel.hasRoom }
        injector.mayDisplace = { [unowned slave] entry in !slave.filter.isNodesOwn(entry) }
        injector.wordOfNewer = { [unowned self] here, handed in word(of: here, newerThan: handed) }
    }

    /// What it holds of the master.
    var table: ReplicaTable { slave.table }

    // MARK: Becoming and ceasing to be slave

    /// Becomes slave with the replica table empty: what the kernel has is read into it.
    ///
    /// - Parameter holding: how much of the cluster's table that is.
    func begin(after claim: MasterClaim, holding: Holding, now: Instant) {
        hasBegun = true
        table.beginAnew(after: slave.holding.latest, adopted: holding.latest)
        table.isCreateOnly = false
        // A process that begins may be a master's that was restarted: packets still pass.
        table.remakesWorn = claim != .none
        table.hasMute = wasMuteAsMaster() || watch.offCount > 0
        isFinished = false
        slave.restart(after: claim, holding: holding, now: now)
        slave.hasAdopted = false
        hasUnread = true
        check.postpone(now: now)
        watch.open(begins: table.remakesWorn, now: now)
        heardAt = nil
        strays.cancel()
        startAdoption()
    }

    /// Begins to take over what another node holds, as a master that lacks it.
    ///
    /// - Parameters:
    ///   - others: where it is by other links.
    ///   - words: by which it is told who knows better where both hold a connection.
    func takeOver(
        from claim: MasterClaim, at peer: PeerAddress, others: [PeerAddress] = [],
        _ words: LastWords, now: Instant
    ) {
        if !hasBegun { table.beginWords(adopted: words.own) }
        hasBegun = true
        table.isCreateOnly = true
        slave.isKeptHere = { [unowned self] handed, word in hasNewer(than: handed, word) }
        slave.isGoneHere = { [unowned self] key in isGone(key) }
        slave.takeOver(from: claim, at: peer, others: others, words, now: now)
    }

    /// Begins to hear out, as master, the one that it followed: most takeovers are none from a dead
    /// node, and what that one saw in its last milliseconds, and the connections in it, are lost
    /// otherwise until its whole table is taken over. What packets have passed here since stays as
    /// it is.
    func hearOut() {
        table.isCreateOnly = true
        table.goOn(to: slave.holding.latest)
        slave.hasMovedOn = { [unowned self] key in
            do throws(SystemError) {
                return try lookup.entry(key).map { !ReplicaTable.mayBeHeld($0) } ?? false
            } catch {
                return true
            }
        }
        slave.hearOut()
    }

    /// Takes a packet of the predecessor.
    ///
    /// - Returns: what the node holds, if that is more now.
    func hearOut(
        _ packet: RawSpan, from peer: PeerAddress, now: Instant, wallMicroseconds: UInt64
    ) -> Holding? {
        let applied = slave.applied
        _ = slave.receive(packet, from: peer, now: now, wallMicroseconds: wallMicroseconds)
        guard slave.applied != applied else { return nil }
        table.goOn(to: slave.holding.latest)
        inject(now)
        return slave.holding
    }

    private func hasNewer(than handed: Entry, _ word: Basis) -> Bool {
        do throws(SystemError) {
            // What ended here, and lives there, is another that began since.
            guard let entry = try lookup.entry(handed.key) else { return false }
            return word <= table.lateness(handed.key) || isUsed(entry, besides: handed)
        } catch {
            return true
        }
    }

    private func isGone(_ key: Key) -> Bool {
        do throws(SystemError) {
            return try lookup.entry(key) == nil
        } catch {
            return false
        }
    }

    /// How late this kernel's entry is, which is in the way of what is handed over, if it is newer.
    ///
    /// What is handed over is a replica already; one of the same tuple in the kernel is none then.
    private func word(of entry: Entry, newerThan handed: Entry) -> Basis? {
        let word = table.lateness(handed.key)
        let isSame = isSame(entry, handed)
        // What packets have passed by is of this term, unless another node has the same: one that knows not how
        // late, as this master itself has told it, says nothing.
        if let donor = slave.donor, !isSame || word == .none,
            isOfTerm(entry, isReplica: !isSame && isReplica(entry))
        {
            return Basis(epoch: donor.epoch, sequence: 0)
        }
        let known =
            entry.key == handed.key ? table.adoptedWord(of: entry) : table.lateness(here: entry)
        if word <= known, !isOver(entry, since: handed) { return known }
        return isUsed(entry, besides: handed) ? word : nil
    }

    /// Whether an entry has ended at the predecessor that is heard out: it cannot have had both.
    private func isOver(_ entry: Entry, since handed: Entry) -> Bool {
        slave.isHeir && entry.key != handed.key
            && table.isOver(here: entry, since: handed.key)
    }

    /// Whether packets have passed by it since the promotion, or it is another connection that began
    /// since.
    private func isUsed(_ entry: Entry, besides handed: Entry) -> Bool {
        guard isSame(entry, handed) else {
            return isOfTerm(entry, isReplica: isReplica(entry))
        }
        return !ReplicaTable.mayBeHeld(entry)
            && !table.isOnHold(entry, now: Self.seconds(slave.lastHeard))
    }

    private func isSame(_ entry: Entry, _ other: Entry) -> Bool {
        entry.key == other.key && entry.reply == other.reply
    }

    private func isReplica(_ entry: Entry) -> Bool { table.reply(entry.key) == entry.reply }

    /// Whether a connection began since the promotion, as far as anybody knows.
    private func isOfTerm(_ entry: Entry, isReplica: Bool) -> Bool {
        // A replica, perhaps of an earlier process and not read yet, that no packet has touched.
        guard !ReplicaTable.mayBeHeld(entry) else { return false }
        // What is not a replica began in the term; if all that the kernel had was read, also if its event was
        // not yet. What the rules leave out is not read.
        let isRead = !hasUnread && slave.filter.adopts(entry, isHeld: false)
        if !isReplica, isRead { return true }
        return beganInTerm(entry.key) ?? !isReplica
    }

    /// Ends to take over or to hear out: the replica table is left alone.
    ///
    /// - Parameter send: takes the last packet, by which the other knows that all was taken.
    func endTakingOver(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer,
        send: (Int, PeerAddress) -> Void
    ) {
        guard slave.donor != nil || slave.isHeir else { return }
        if slave.donor != nil {
            slave.reportSoon(now: now)
            while let (length, peer) = output(
                now: now, wallMicroseconds: wallMicroseconds, target)
            {
                send(length, peer)
            }
        }
        table.giveUpWaiting()
        table.retryRefused()
        inject(now)
        table.isCreateOnly = false
        slave.restart(after: .none, holding: slave.holding)
    }

    /// Ceases to be slave; what has been received is applied.
    func finish(now: Instant) {
        isFinished = true
        if adoption.isRunning { adoption.cancel() }
        watch.lookLast(slave, &check, now: now)
        watch.close()
        check.postpone(now: now)
        strays.cancel()
        inject(now)
        // No parent will come any more, and what was in the way may have gone.
        table.giveUpWaiting()
        table.retryRefused()
        inject(now)
    }

    /// Is slave again, the replica table as it was at `finish`.
    func resume(now: Instant) {
        isFinished = false
        table.isCreateOnly = false
        slave.endHearingOut()
        if !slave.hasAdopted { startAdoption() }
        check.postpone(now: now)
        watch.open(begins: watch.hearsBegins, now: now)
        watch.requireCheck()
    }

    /// Begins to read the kernel's table; where that fails, it is tried again with the next renewal.
    private func startAdoption() {
        do throws(SystemError) {
            try adoption.start()
        } catch {
            injectionFailures += 1
        }
    }

    // MARK: Working

    /// Takes a packet.
    func receive(
        _ packet: RawSpan, from peer: PeerAddress, now: Instant, wallMicroseconds: UInt64
    ) -> SlaveProtocol.Consequence {
        slave.receive(packet, from: peer, now: now, wallMicroseconds: wallMicroseconds)
    }

    /// Does what is due, after the packets that have come.
    func work(now: Instant) {
        inject(now, copies: slave.isCopying ? Self.copiesAtOnce : .max)
        guard slave.donor == nil else { return slave.askAgain(now: now) }
        adopt(now)
        endBegins(now)
        watch.look(slave, &check, now: now)
        checkKernel(now)
        slave.kernelDoubt = watch.doubt
        guard now >= renewAt else { return }
        renewAt = now + Self.renewInterval
        let rounds = Int(ReplicaTable.renewSeconds / 4)
        table.renew(budget: table.aliveCount / rounds + 64, now: Self.seconds(now))
        table.expectations.renew(now: Self.seconds(now))
        table.retryHelpers(now: Self.seconds(now))
        inject(now, copies: 0)
        if !slave.hasAdopted, !adoption.isRunning { startAdoption() }
    }

    /// When `work` or `output` has something to do, if no packet comes.
    func pause(now: Instant) -> Pause {
        guard !adoption.isRunning, table.kernel.copyCount == 0 else { return .none }
        var deadline = renewAt
        if let due = slave.deadline { deadline = min(deadline, due) }
        if table.isWaiting { deadline = min(deadline, now + Self.waitInterval) }
        if let due = check.due { deadline = min(deadline, due) }
        deadline = min(deadline, watch.due)
        if let due = strays.due { deadline = min(deadline, due) }
        return .until(deadline)
    }

    /// Writes the next packet that is due to the master, if any.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length and where it goes.
    func output(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> (Int, PeerAddress)? {
        let next = slave.output(now: now, wallMicroseconds: wallMicroseconds, target)
        guard let next else { return nil }
        packetsSent += 1
        bytesSent += UInt64(next.0)
        return next
    }

    /// Writes what is to be told everybody while no master is heard, if it is due.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length.
    func hello(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        let length = slave.hello(now: now, wallMicroseconds: wallMicroseconds, target)
        guard let length else { return nil }
        packetsSent += 1
        bytesSent += UInt64(length)
        return length
    }

    /// Brings the kernel to what the table says.
    func inject(_ now: Instant) {
        inject(now, copies: .max)
    }

    /// The same, but at most so many of what an initsync copies.
    private func inject(_ now: Instant, copies limit: Int) {
        // It is asked again first: what was deleted, to be made anew, is nowhere else.
        for _ in 0..<Self.attempts {
            do throws(SystemError) {
                try injector.apply(table, copies: limit, now: Self.seconds(now))
                try expectations.apply(table, now: now)
                return
            } catch {
                injectionFailures += 1
            }
        }
        // What the kernel has is not known any more: read it, and have it confirmed.
        if !isFinished { begin(after: slave.master, holding: slave.holding, now: now) }
    }

    private func adopt(_ now: Instant) {
        guard adoption.isRunning else { return }
        do throws(SystemError) {
            try adoption.step(into: table, slave.filter, now: Self.seconds(now))
        } catch {
            injectionFailures += 1
            adoption.cancel()
            return
        }
        guard !adoption.isRunning else { return }
        hasUnread = false
        table.endAdoption()
        if table.remakesWorn { strays.begin(now: now) }
        slave.adopted()
    }

    /// What begins here is nobody's loss any more when the neighbours know the new master.
    private func endBegins(_ now: Instant) {
        guard watch.hearsBegins, slave.masterAddress != nil else { return }
        let since = heardAt ?? now
        heardAt = since
        if now >= since + Self.strayTime { watch.endBegins() }
    }

    private func checkKernel(_ now: Instant) {
        guard !adoption.isRunning else { return }
        if slave.takeWantsCheck() { check.begin(now: now) }
        do throws(SystemError) {
            try check.step(table, slave.filter, lookup, now: now) { entry in
                watch.takeUnheard(slave, entry, now: now)
            }
            try strays.step(table, isInSync: slave.outOfSync(now: now) == nil, now: now)
        } catch {
            injectionFailures += 1
            check.postpone(now: now)
            strays.cancel()
        }
        let isDirty = table.kernel.liveCount > 0 || table.expectations.isDirty
        if isDirty { inject(now, copies: 0) }
    }

    private static func seconds(_ now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now / Duration.second)
    }
}
