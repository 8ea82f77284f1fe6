// SPDX-License-Identifier: GPL-2.0-or-later

extension ReplicaTable {
    /// What a connection's window tracking needs after a promotion.
    enum WindowRemedy {
        /// To be looked at again soon.
        case suspect
        /// To let packets pass that are out of the windows (IP_CT_TCP_FLAG_BE_LIBERAL).
        case relax
        /// To end that.
        case watch
    }

    /// Whether it is a replica's entry of which packets of both directions have passed: the kernel knows
    /// its windows.
    func hasSeenWindows(of entry: borrowing Entry) -> Bool {
        let info = entry.protocolInfo
        guard entry.key.tuple.protocolNumber == ProtocolNumber.tcp,
            info.originalFlags & info.replyFlags & TCPFlag.maxAckSet != 0
        else { return false }
        return book.alivePlace(entry.key) != nil
    }

    /// The place of a TCP entry in which data has passed that nobody has acknowledged, and whose windows
    /// are watched; nil for others.
    ///
    /// If no packet is valid any more, its time runs down: both directions have spoken since the entry
    /// was made, but one of them went through the old master for a moment longer, and what it says is
    /// out of the windows for ever.
    func placeOfUnacknowledged(_ entry: borrowing Entry) -> UInt32? {
        let info = entry.protocolInfo
        let flags = info.originalFlags | info.replyFlags
        guard entry.key.tuple.protocolNumber == ProtocolNumber.tcp,
            info.state == TCPState.established, flags & TCPFlag.dataUnacknowledged != 0,
            flags & TCPFlag.beLiberal == 0, let place = book.alivePlace(entry.key),
            !kernel[place].state.hasNothing
        else { return nil }
        return place
    }

    /// Before the looks after a promotion: none has seen anything yet.
    func forgetSeen() {
        for place in places { kernel[place].marks.remove(.oneSided) }
    }

    /// Looks at a TCP entry after a promotion; to be asked at intervals.
    ///
    /// A replica lets packets pass that are out of its windows (`ProtocolInfoCodec`), which its kernel
    /// learns from the first packets: it is watched from when acknowledgements were accepted in both
    /// directions (IP_CT_TCP_FLAG_MAXACK_SET), or, if it was silent, from the last look on.
    ///
    /// Watched entries may mislead as well, of a term before: the first packets repeat what the other
    /// side has had already, since the acknowledgement died with the old master, the acknowledgements
    /// are ones of data that was never sent, and invalid, for ever. Such an entry has accepted
    /// acknowledgements in one direction only, at two looks in a row. It is relaxed until new data has
    /// brought the windows up, which both directions then show.
    ///
    /// What is `outOfStep` is never watched: of a node that was master, and is it again before its
    /// entries were made again, both directions show packets of the term before, or of the moment after
    /// it. What is let pass out of the windows does not move them.
    ///
    /// - Parameter isLast: no look follows.
    func windowRemedy(for entry: borrowing Entry, isLast: Bool = false) -> WindowRemedy? {
        let info = entry.protocolInfo
        guard entry.key.tuple.protocolNumber == ProtocolNumber.tcp,
            (TCPState.established...TCPState.lastAck).contains(info.state)
        else { return nil }
        guard let place = book.alivePlace(entry.key), !kernel[place].state.hasNothing else {
            return nil
        }
        let said = book.pool.replicas[Int(place)].protocolInfo
        guard (said.originalFlags | said.replyFlags) & TCPFlag.beLiberal == 0 else { return nil }
        let isRelaxed = info.originalFlags & info.replyFlags & TCPFlag.beLiberal != 0
        guard !kernel[place].marks.contains(.outOfStep) else { return isRelaxed ? nil : .relax }
        let isOneSided = (info.originalFlags ^ info.replyFlags) & TCPFlag.maxAckSet != 0
        let wasOneSided = kernel[place].marks.contains(.oneSided)
        if isOneSided {
            kernel[place].marks.insert(.oneSided)
            guard !isRelaxed else { return nil }
            return wasOneSided ? .relax : .suspect
        }
        kernel[place].marks.remove(.oneSided)
        let isKnown = info.originalFlags & TCPFlag.maxAckSet != 0
        return isRelaxed && (isKnown || isLast) ? .watch : nil
    }
}
