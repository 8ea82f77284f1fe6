// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc
import Synchronization

/// This node's start as the others see it: its salt, and the counter that all its packets share.
final class SealSession: Sendable {
    let id: SealSessionID
    let keys: SealKeyRing
    private let sealed = Atomic<UInt64>(0)

    /// A session of a node that starts now.
    ///
    /// - Parameter salt: random, and never 0.
    init(nodeID: UInt8, salt: UInt64, keys: SealKeyRing) {
        precondition(salt != 0)
        id = SealSessionID(nodeID: nodeID, salt: salt)
        self.keys = keys
    }

    /// The next packet's counter: 1, 2, 3 ... whichever thread asks.
    func nextCounter() -> UInt64 {
        sealed.wrappingAdd(1, ordering: .relaxed).newValue
    }

    /// The counter of the packet that was sealed last.
    var lastCounter: UInt64 { sealed.load(ordering: .relaxed) }
}

/// Seals packets where they are. For one thread; takes all its memory when it is made.
final class Sealer {
    let session: SealSession
    private let cipher: OpaquePointer
    private let derivation: SealDerivation
    private var keyID: UInt8 = 0
    private var hasKey = false
    private var generation: UInt64 = 0

    /// - Throws: `SystemError` with ENOMEM.
    init(_ session: SealSession) throws(SystemError) {
        self.session = session
        derivation = SealDerivation(cluster: session.keys.cluster)
        guard let cipher = ctsync_gcm_new(1) else { throw SystemError("libcrypto", errno: ENOMEM) }
        self.cipher = cipher
        takeKey()
    }

    deinit { ctsync_gcm_free(cipher) }

    private func takeKey() {
        generation = session.keys.generation
        // Without one the last stays, for a packet that was begun before it was taken away.
        guard let item = session.keys.all.first else { return }
        hasKey = true
        keyID = item.id
        var key = derivation.packetKey(item.key, session.id)
        let result = withUnsafeMutableBytes(of: &key) { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            defer { ctsync_forget(base, bytes.count) }
            return ctsync_gcm_set_key(cipher, base)
        }
        precondition(result == 0, "AES cannot fail once it is there")
    }

    /// Writes the envelope and encrypts what is behind it.
    ///
    /// - Parameter datagram: `SealEnvelope.byteCount` bytes of room, then the content.
    func seal(_ datagram: UnsafeMutableRawBufferPointer, _ kind: SealEnvelope.Kind = .SEALED) {
        precondition(datagram.count >= SealEnvelope.byteCount)
        if generation != session.keys.generation { takeKey() }
        precondition(hasKey, "there is a key before anything is to be sealed")
        let envelope = SealEnvelope(
            kind: kind, nodeID: session.id.nodeID, keyID: keyID, length: UInt16(datagram.count),
            salt: session.id.salt, counter: session.nextCounter())
        var bytes = datagram.mutableBytes
        envelope.write(&bytes)
        let result = SealNonce.with(envelope.counter) { nonce in
            datagram.withMemoryRebound(to: UInt8.self) { bytes in
                guard let base = bytes.baseAddress else { return CInt(-1) }
                return ctsync_gcm_seal(
                    cipher, nonce, base, SealEnvelope.authenticatedByteCount,
                    base + SealEnvelope.byteCount, bytes.count - SealEnvelope.byteCount,
                    base + SealEnvelope.authenticatedByteCount)
            }
        }
        precondition(result == 0, "AES cannot fail once it is there")
    }
}

/// The 12 bytes of a nonce: 4 of zero, and the counter.
enum SealNonce {
    /// Calls `body` with the nonce of a counter.
    @inline(__always)
    static func with<Result>(_ counter: UInt64, _ body: (UnsafePointer<UInt8>) -> Result) -> Result
    {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 12) { nonce in
            for place in 0..<4 { nonce[place] = 0 }
            for place in 0..<8 {
                nonce[4 + place] = UInt8(truncatingIfNeeded: counter >> UInt64(56 - 8 * place))
            }
            guard let base = nonce.baseAddress else { preconditionFailure("12 bytes of stack") }
            return body(base)
        }
    }
}
