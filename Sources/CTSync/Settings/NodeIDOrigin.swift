// SPDX-License-Identifier: GPL-2.0-or-later

/// Where a node's number is from.
package enum NodeIDOrigin: String, Sendable {
    /// The setting `id`.
    case setting
    /// The machine id: no setting was given.
    case machineID = "machine id"
    /// Neither: 0.
    case none = "default"
}

/// The machine id of machine-id(5), of which a number is made for a node that is given none.
package enum MachineID {
    /// Where it stands.
    package static let path = "/etc/machine-id"

    /// The text of the file; nil if it cannot be read.
    package static func text(path: String = MachineID.path) -> String? {
        do throws(SystemError) {
            return try TextFile.read(path, limit: 4_096)
        } catch {
            return nil
        }
    }

    /// A number from 1 to 255, always the same for a machine id; nil for a text that is none.
    ///
    /// Of two machines, one pair in 255 gets the same; then the nodes say so, and one is given `id`.
    static func nodeID(_ text: String) -> UInt8? {
        let digits = text.prefix { $0 != "\n" }
        let isID = digits.utf8.count == 32 && digits.allSatisfy { $0.isASCII && $0.isHexDigit }
        guard isID, digits.contains(where: { $0 != "0" }) else { return nil }
        // FNV-1a, of a name of ours too: a machine id itself is not to be shown to others.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "ct_sync:\(digits.lowercased())".utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        return UInt8(hash % 255) + 1
    }
}

extension Configuration {
    /// Makes the node's number of the machine id if none is given.
    package mutating func settleNodeID(machineID: String?) {
        guard nodeIDOrigin != .setting, let machineID, let made = MachineID.nodeID(machineID)
        else { return }
        nodeID = made
        nodeIDOrigin = .machineID
    }
}
