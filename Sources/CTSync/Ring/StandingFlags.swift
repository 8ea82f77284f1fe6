// SPDX-License-Identifier: GPL-2.0-or-later

import Synchronization

/// What a master says of itself in the header of every packet: a packet has what held when it was closed.
struct StandingFlags: ~Copyable {
    private let standing = Atomic<UInt8>(0)
    private let isIncomplete = Atomic<Bool>(false)

    /// The flags of a packet that is made now.
    var current: PacketHeader.Flags {
        let standing = PacketHeader.Flags(rawValue: standing.load(ordering: .acquiring))
        return isIncomplete.load(ordering: .acquiring) ? standing.union(.incomplete) : standing
    }

    /// For a new epoch, in which no events are lost yet.
    func reset(_ flags: PacketHeader.Flags) {
        standing.store(flags.rawValue, ordering: .releasing)
        isIncomplete.store(false, ordering: .releasing)
    }

    /// Says whether the master may lack what others hold.
    func setPartial(_ value: Bool) {
        standing.store(value ? PacketHeader.Flags.partial.rawValue : 0, ordering: .releasing)
    }

    /// Says whether the master has lost events.
    func setIncomplete(_ value: Bool) {
        isIncomplete.store(value, ordering: .releasing)
    }
}

extension SendRing {
    /// Says in every packet closed from now on whether the master may lack what others hold.
    func setPartial(_ value: Bool) { flags.setPartial(value) }

    /// Says in every packet closed from now on whether the master has lost events.
    func setIncomplete(_ value: Bool) { flags.setIncomplete(value) }
}
