// SPDX-License-Identifier: GPL-2.0-or-later

extension NodeReport {
    /// Why a node is not well, as a word for programs; a fixed set.
    enum Reason: String, Sendable, CaseIterable {
        // Nobody is heard.
        case noMaster = "no_master"
        case masterSilent = "master_silent"
        case deviceGone = "device_gone"
        case linkDown = "link_down"
        case ownID = "own_id"
        case sameID = "same_id"
        case oneSegment = "one_segment"
        case anotherVersion = "another_version"
        case anotherCluster = "another_cluster"
        case damaged = "damaged"
        case malformed = "malformed"
        case anotherPort = "another_port"
        case anotherGroup = "another_group"
        case anotherDevice = "another_device"
        case notAPeer = "not_a_peer"
        case ownPeer = "own_peer"
        case peerElsewhere = "peer_elsewhere"
        case routed = "routed"
        case blockedHere = "blocked_here"
        case anotherKey = "another_key"
        case sealed = "sealed"
        case unsealed = "unsealed"
        case unproven = "unproven"
        case onlySlaves = "only_slaves"
        case notHeard = "not_heard"
        // The master is heard, and the slave has not all of its table.
        case noAnswer = "no_answer"
        case rulesDiffer = "rules_differ"
        case reading = "reading_kernel"
        case initsync = "initsync"
        case packetsMissing = "packets_missing"
        case incompleteEntries = "incomplete_entries"
        case waitingForParent = "waiting_for_parent"
        case refusedEntries = "refused_entries"
        case tableFull = "table_full"
        case eventsOff = "events_off"
        case unwatched = "unwatched"
        case kernelChanged = "kernel_changed"
        // A master without a slave that could take over.
        case alone = "alone"
        // A takeover would not be whole.
        case lacking = "lacking"
        case l2drop = "l2drop"
        // Remarks: the node is well all the same.
        case clockApart = "clock_apart"
        case slaveNotReady = "slave_not_ready"
        case partialMaster = "partial_master"
        case pathMTU = "path_mtu"
        case deviceMTU = "device_mtu"
        case sendsRefused = "sends_refused"
        case almostFull = "almost_full"
        case promotionWaits = "promotion_waits"
        case differed = "differed"
    }

    /// A command that tells more, or helps.
    struct Hint: Sendable, Equatable {
        var command: String
        /// What its output answers; with the node it is to be typed on, if that is another one.
        var why: String
    }

    /// Something that is not as it should be.
    struct Problem: Sendable, Equatable {
        var reason: Reason
        /// What it is; no counts that grow and no ages, but for `detail`.
        var sentence: String
        /// Numbers, addresses and times.
        var detail = ""
        var tries: [Hint] = []

        init(_ reason: Reason, _ sentence: String, detail: String = "", tries: [Hint] = []) {
            self.reason = reason
            self.sentence = sentence
            self.detail = detail
            self.tries = tries
        }
    }

    /// A line below the verdict, with what to type next.
    struct Remark: Sendable, Equatable {
        var reason: Reason
        /// Empty if the verdict says it all.
        var text: String
        var tries: [Hint]
    }
}
