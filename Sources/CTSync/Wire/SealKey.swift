// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// The cluster's secret: 32 bytes, the same on every node.
struct SealKey: Sendable, BitwiseCopyable {
    /// Bytes of a key.
    static let byteCount = 32

    /// The secret itself.
    let bytes: InlineArray<32, UInt8>

    /// A key of these bytes; nil unless there are 32 of them.
    init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var copy = InlineArray<32, UInt8>(repeating: 0)
        for (place, byte) in bytes.enumerated() { copy[place] = byte }
        self.bytes = copy
    }

    /// A new one, of the system's random numbers.
    static func random() -> SealKey {
        var random = SystemRandomNumberGenerator()
        var bytes = InlineArray<32, UInt8>(repeating: 0)
        for place in 0..<byteCount { bytes[place] = random.next() }
        return SealKey(bytes: bytes)
    }

    fileprivate init(bytes: InlineArray<32, UInt8>) { self.bytes = bytes }

    /// As the key file has it: 64 hexadecimal digits.
    var text: String {
        (0..<Self.byteCount).reduce(into: "") { text, place in
            let digits = String(bytes[place], radix: 16)
            text += digits.count == 1 ? "0" + digits : digits
        }
    }

    static func == (left: SealKey, right: SealKey) -> Bool {
        var difference: UInt8 = 0
        for place in 0..<byteCount { difference |= left.bytes[place] ^ right.bytes[place] }
        return difference == 0
    }
}

/// Makes keys of a key: HKDF with SHA-256 (RFC 5869). For one thread; allocates when it is made.
final class SealDerivation {
    private static let packets = Array("ct_sync 1 packets".utf8)
    private static let keyID = Array("ct_sync 1 key id".utf8)

    /// What packets' keys are made with: a label, the node's id, the cluster's name.
    private var information: [UInt8]
    private let keyIDInformation: [UInt8]

    /// A derivation for a cluster.
    ///
    /// - Parameter cluster: its name: nodes of another understand nothing, the same key or not.
    init(cluster: String) {
        information = Self.packets + [0] + Array(cluster.utf8)
        keyIDInformation = Self.keyID + Array(cluster.utf8)
    }

    /// The key that a node seals its packets with from one start to its end.
    func packetKey(_ key: SealKey, _ session: SealSessionID) -> SealKey {
        information[Self.packets.count] = session.nodeID
        var salt = session.salt.bigEndian
        return withUnsafeBytes(of: &salt) { Self.derive(key, $0, information) }
    }

    /// A number by which a receiver knows the key; of two keys it is the same once in 256 times.
    func keyID(_ key: SealKey) -> UInt8 {
        Self.derive(key, UnsafeRawBufferPointer(start: nil, count: 0), keyIDInformation).bytes[0]
    }

    private static func derive(
        _ key: SealKey, _ salt: UnsafeRawBufferPointer, _ information: [UInt8]
    ) -> SealKey {
        var input = key.bytes
        var output = InlineArray<32, UInt8>(repeating: 0)
        let result = withUnsafeBytes(of: &input) { input in
            withUnsafeMutableBytes(of: &output) { output in
                information.withUnsafeBytes { information in
                    ctsync_hkdf(
                        input.baseAddress, input.count, salt.baseAddress, salt.count,
                        information.baseAddress, information.count, output.baseAddress, output.count
                    )
                }
            }
        }
        precondition(result == 0, "SHA-256 cannot fail")
        return SealKey(bytes: output)
    }
}
