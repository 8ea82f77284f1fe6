// SPDX-License-Identifier: GPL-2.0-or-later

/// How a node is, at one instant: the one source of what is said of it. The text and the JSON of
/// `ct_sync status`, systemd's STATUS= and the sentences of the journal are made from it and from
/// nothing else.
///
/// A value: the daemon builds it (`Node.nodeReport`), tests build others. Ages are in nanoseconds.
struct NodeReport: Sendable, Equatable {
    // MARK: Who

    var host = ""
    var nodeID: UInt8 = 0
    var nodeIDFrom = ""
    var controlFile = ""
    /// Where its settings stand, or would stand.
    var configurationFile = ConfigurationFile.defaultPath
    /// When it was made, in microseconds since 1970.
    var wallMicroseconds: UInt64 = 0
    var uptime: UInt64 = 0

    // MARK: Role

    var role = Role.slave
    /// For how long it has that role.
    var roleAge: UInt64 = 0
    /// Why it has it.
    var roleCause = "started"
    /// Of the master that it is or follows; 0 for none.
    var epoch: UInt64 = 0
    /// What the last promotion took; nil before the first.
    var promotionMicroseconds: UInt64?
    /// Whether a promotion waits for the end of an initsync.
    var isPromotionWaiting = false
    /// How often it became master, and slave.
    var roleChanges = (toMaster: UInt64(0), toSlave: UInt64(0))

    // MARK: Slave

    /// Why the slave is not in sync; nil while it is.
    var outOfSync: SlaveProtocol.OutOfSync?
    /// For how long it is in sync, or is not.
    var syncAge: UInt64 = 0
    /// For how long this has been the reason.
    var reasonAge: UInt64 = 0
    /// The initsync that is wanted or running.
    var initsync = Progress()

    // MARK: Master

    /// For how long no slave could have taken over; nil while one can.
    var aloneAge: UInt64?
    /// Whether it is known to hold all that any node holds.
    var isWhole = true
    /// Whether its kernel sends no events, and cannot be made to.
    var areEventsOff = false

    // MARK: Both

    /// The other nodes: the master of a slave, the slaves of a master.
    var peers: [Peer] = []
    var entriesHeld = 0
    /// About how many the master replicates; nil if it has not said so.
    var entriesOfMaster: Int?
    /// What the kernel's table may hold.
    var entriesLimit: Int?
    /// Of what the kernel refused, the errors' names.
    var injectionErrors: [(name: String, count: UInt64)] = []
    var refusedEntries = 0
    var link = Link()
    /// What the master's packets have at most, if its path to a slave takes less than its device.
    var path = PathLimit()
    var links: [LinkLine] = []
    var seal = Seal()
    /// Packets that were dropped, by reason.
    var drops: [Drop] = []
    /// What is to be seen on the device while nobody is heard.
    var sighting: Sighting?
    /// A slave that hears no master, as it says itself.
    var stranger: Stranger?
    var l2drop = Dark()
    /// What this node lacks for a takeover.
    var lacks: [Lack] = []
    var verified: Verified?
    /// What is only counted.
    var counters = StatusReport()

    /// Whether a slave hears its master.
    var isMasterHeard: Bool { outOfSync != .noMaster && outOfSync != .silent }
    /// Whether a slave has heard its master, or would have: one that gave way a moment ago has heard only
    /// the claim.
    var knowsMaster: Bool {
        role == .slave && (outOfSync != .noMaster || roleAge >= SlaveProtocol.silence)
    }
    /// How many slaves could take over now.
    var readySlaves: Int { peers.count { $0.role == .slave && $0.isReady } }
    /// How many have been heard in this term.
    var knownSlaves: Int { peers.count { $0.role == .slave } }

    static func == (left: NodeReport, right: NodeReport) -> Bool {
        left.status == right.status
    }
}

/// The parts of it.
extension NodeReport {
    /// Another node.
    struct Peer: Sendable {
        var nodeID: UInt8
        var role: Role
        var address: String
        /// Since it was heard last.
        var heardAge: UInt64
        /// Of a slave: whether it says that it is in sync, what it holds, how far it is behind.
        var isInSync = false
        var entries: Int?
        var behindPackets: UInt64?
        /// What it says of its kernel; nil if it has not.
        var traits: Traits?
        /// This node's clock less its, and the time that its last packet took.
        var clockOffsetMicroseconds: Int64 = 0

        /// A slave reports every second; two reports may be lost, and that it is silent is known after
        /// less than three seconds.
        static let patience = 2_800 * Duration.millisecond
        /// Whether it was heard just now.
        var isHeard: Bool { heardAge <= Self.patience }
        /// Whether it could take over now.
        var isReady: Bool { isHeard && isInSync }

        /// How far the nodes' clocks may be apart, in microseconds.
        static let clockTolerance: UInt64 = 2_000_000
        /// Whether its clock is another time's than this node's.
        var isClockApart: Bool {
            isHeard && clockOffsetMicroseconds.magnitude > Self.clockTolerance
        }
    }

    /// How far an initsync has got.
    struct Progress: Sendable {
        /// Whether one has begun and not ended.
        var isRunning = false
        /// Entries that have come.
        var done = 0
        /// Since it began.
        var age: UInt64 = 0
        /// Requests that went out since one was last begun.
        var unansweredRequests = 0

        /// What is left of so many, in nanoseconds, by the pace until now; nil if it cannot be said.
        func left(of expected: Int?) -> UInt64? {
            guard let expected, isRunning, done > 0, expected > done, age > 0 else { return nil }
            return UInt64(Double(age) / Double(done) * Double(expected - done))
        }
    }

    /// The sync link.
    struct Link: Sendable {
        var device = ""
        var isPresent = true
        var hasCarrier = true
        var mtu = 0
        var port: UInt16 = 0
        /// The group or groups, or the peers.
        var destinations: [String] = []
        /// Of the peers, those that can be no other node on the link.
        var misplaced = PeerPlaces()
        var isMulticast = true
        var packetsIn: UInt64 = 0
        var packetsOut: UInt64 = 0
        var bytesIn: UInt64 = 0
        var bytesOut: UInt64 = 0
        /// Of the largest packet that is sent.
        var largestPacket = 0
        var messagesIn: UInt64 = 0
        var messagesOut: UInt64 = 0
        var refused: UInt64 = 0
        /// The errno(3) of the last packet that was refused; nil if none was.
        var lastRefusal: String?
        /// Since one was seen to be refused; nil if none was.
        var refusedAge: UInt64?

        /// `group 224.0.0.254`, `peers 10.0.0.1, 10.0.0.2`
        var target: String {
            let noun = isMulticast ? "group" : destinations.count == 1 ? "peer" : "peers"
            return "\(noun) \(destinations.joined(separator: ", "))"
        }
    }

    /// A sync device, and a node that is heard by it if there is one.
    struct LinkLine: Sendable {
        var device = ""
        var isPresent = true
        var hasCarrier = true
        var mtu = 0
        /// Whether a master's stream goes over it; nil for a slave.
        var carriesStream: Bool?
        var nodeID: UInt8?
        var address: String?
        var heardAge: UInt64?
        /// Whether that slave hears this master by it.
        var hears: Bool?
    }

    /// Packets dropped for one reason.
    struct Drop: Sendable {
        /// A key of the counter's: `version`, `own_id`.
        var reason: String
        var count: UInt64
        /// Of the last one: where it came from, when, and what it had in the place of the mistake.
        var address: String?
        var age: UInt64?
        var detail: UInt8 = 0
    }

    /// A slave that hears no master.
    struct Stranger: Sendable {
        var nodeID: UInt8
        var address: String
        var age: UInt64
    }

    /// The layer-2 drop.
    struct Dark: Sendable {
        var isOn = false
        var backend: String?
        /// Why it is not as the role asks for.
        var failure: String?
    }

    /// Something that entries of the master need and this node does not have.
    struct Lack: Sendable {
        /// `nat_chain`, `nat`, `labels`, `address`, `helper`.
        var what: String
        /// Of a helper, or the address.
        var name: String?
        var count: UInt64
    }

    /// The last comparison of the kernel with what the master said.
    struct Verified: Sendable {
        var age: UInt64
        var entries: Int
        var differed: Int
        /// Entries of this kernel that the master does not have.
        var added = 0
    }
}
