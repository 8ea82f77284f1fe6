// SPDX-License-Identifier: GPL-2.0-or-later

/// What a slave sends: requests, NACKs with its reports, and a hello where it hears nobody.
extension SlaveProtocol {
    /// When `output` has something next; nil if only a packet can bring that about.
    var deadline: Instant? {
        guard masterAddress != nil else { return answer.isDue ? 0 : nil }
        var earliest = answer.isDue ? 0 : reportDue
        if let nack = order.nackDue { earliest = min(earliest, nack) }
        if hasAdopted, let asked = request.deadline { earliest = min(earliest, asked) }
        return earliest
    }

    private var reportDue: Instant {
        reports.due(at: appliedEnd, isWalking: initsync.isRunning)
    }

    /// Whether an initsync is received, which waits for what is live.
    var isCopying: Bool { donor == nil && !isHeir && initsync.isRunning }

    /// The number after that of the last packet that is applied: the kernel may lack as much of an
    /// initsync as it is given in a few steps, or the master would wait for each of them.
    private var appliedEnd: UInt64 {
        table.kernel.copyCount <= Self.copiesBehind
            ? order.expected : min(reports.reported, order.expected)
    }
    /// The most copies that the kernel may lack of packets that are told as applied.
    static let copiesBehind = 512

    /// Writes the next packet that is due to the master, if any.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length and where it goes.
    func output(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> (Int, PeerAddress)? {
        if let peer = answer.take(now: now) {
            return (write(.NACK, now, wallMicroseconds, target), peer)
        }
        guard let masterAddress else { return nil }
        if hasAdopted, let due = request.deadline, due <= now {
            request.sent(now: now)
            return (write(.SLAVE_INITSYNC, now, wallMicroseconds, target), masterAddress)
        }
        let isNackDue = order.nackDue.map { $0 <= now } ?? false
        guard isNackDue || reportDue <= now else { return nil }
        reports.sent(appliedEnd, now: now)
        var ranges = 0
        if isNackDue {
            counters.nacks += 1
            var bytes = target.mutableBytes
            ranges = order.writeNACK(&bytes, now: now)
        }
        // A donor takes a report that names nothing for the word that all of its walk was taken. One that has
        // lost some of it and asks for another has not: the report may come before the request.
        if donor != nil, ranges == 0, request.deadline != nil {
            return (write(.SLAVE_INITSYNC, now, wallMicroseconds, target), masterAddress)
        }
        let traits = ranges == 0 && followed.announced.traits != nil ? traits : nil
        return (write(.NACK, now, wallMicroseconds, target, ranges, traits), masterAddress)
    }

    /// Where else a packet for the master is to go: it may hear only one of the links.
    ///
    /// - Parameter peer: where `output` said that it goes.
    func otherAddresses(of peer: PeerAddress, _ body: (PeerAddress) -> Void) {
        guard peer == masterAddress else { return }
        followed.paths.others(than: peer, body)
    }

    /// Writes what a slave that hears no master tells everybody, so that people can see it: a NACK of
    /// no epoch, which nobody obeys or answers.
    ///
    /// - Parameter target: at least an MTU.
    /// - Returns: its length; nil while a master is heard or was heard lately.
    func hello(
        now: Instant, wallMicroseconds: UInt64, _ target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard donor == nil, masterAddress == nil || followed.isSilent(now: now),
            reports.takeHello(now: now)
        else { return nil }
        let content = SlavePacket.Content(type: .NACK, epoch: 0, expected: 0)
        return packet.write(content, wallMicroseconds: wallMicroseconds, target)
    }

    private func write(
        _ type: PacketHeader.PacketType, _ now: Instant, _ wallMicroseconds: UInt64,
        _ target: UnsafeMutableRawBufferPointer, _ rangeCount: Int = 0, _ traits: Traits? = nil
    ) -> Int {
        packet.write(
            SlavePacket.Content(
                type: type, epoch: master.epoch, expected: appliedEnd, rangeCount: rangeCount,
                report: report(now), traits: traits),
            wallMicroseconds: wallMicroseconds, target)
    }

    private func report(_ now: Instant) -> SlaveReport {
        var report = SlaveReport()
        // What the master itself has said is no news to it.
        report.holding = holdings.newsToMaster(here)
        report.known = master
        if masterAddress != nil {
            let silence = (max(now, lastHeard) - lastHeard) / Duration.millisecond
            report.silentMilliseconds = UInt32(clamping: silence)
        }
        report.entryCount = UInt32(clamping: table.aliveCount)
        report.isInSync = donor == nil && outOfSync(now: now) == nil
        report.links = followed.paths.links
        return report
    }
}
