// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc

/// Why a sealed packet was not opened.
enum SealError: Error, Equatable, Sendable {
    /// No key of this node has the packet's key id: another key, or another cluster.
    case key
    /// The tag does not fit: changed on its way, or made without the key.
    case tag
}

/// Opens sealed packets where they are. For one thread; takes all its memory when it is made.
///
/// A key has to be derived and scheduled for each session (some 2 us); the last few are kept. Those
/// of sessions that are not proven share one place, so that nobody can push the others out.
final class SealOpener {
    /// Proven sessions whose keys are kept.
    static let placeCount = 8

    private struct Place {
        let cipher: OpaquePointer
        var session: SealSessionID?
        var keyID: UInt8 = 0
        var lastUsed: UInt64 = 0
    }

    private let keys: SealKeyRing
    private let derivation: SealDerivation
    private var items: [SealKeyRing.Item] = []
    private var generation: UInt64 = 0
    /// The first is for sessions that are not proven.
    private var places: [Place] = []
    private var uses: UInt64 = 0

    /// - Throws: `SystemError` with ENOMEM.
    init(_ keys: SealKeyRing) throws(SystemError) {
        self.keys = keys
        derivation = SealDerivation(cluster: keys.cluster)
        for _ in 0...Self.placeCount {
            guard let cipher = ctsync_gcm_new(0) else {
                throw SystemError("libcrypto", errno: ENOMEM)
            }
            places.append(Place(cipher: cipher))
        }
    }

    deinit {
        for place in places { ctsync_gcm_free(place.cipher) }
    }

    /// Proves and decrypts what is behind the envelope.
    ///
    /// - Parameters:
    ///   - datagram: the whole of it; its content is worthless after an error.
    ///   - isProven: whether the session is.
    func open(
        _ datagram: UnsafeMutableRawBufferPointer, _ envelope: SealEnvelope, isProven: Bool
    ) throws(SealError) {
        if generation != keys.generation {
            generation = keys.generation
            items = keys.all
            for place in places.indices { places[place].session = nil }
        }
        guard let item = items.first(where: { $0.id == envelope.keyID }) else { throw .key }
        let cipher = cipher(for: envelope, item, isProven)
        let result = SealNonce.with(envelope.counter) { nonce in
            datagram.withMemoryRebound(to: UInt8.self) { bytes in
                guard let base = bytes.baseAddress else { return CInt(-1) }
                return ctsync_gcm_open(
                    cipher, nonce, base, SealEnvelope.authenticatedByteCount,
                    base + SealEnvelope.byteCount, bytes.count - SealEnvelope.byteCount,
                    base + SealEnvelope.authenticatedByteCount)
            }
        }
        guard result == 0 else { throw .tag }
    }

    /// A cipher with the session's key: the one that has it, or the one that was used longest ago.
    private func cipher(
        for envelope: SealEnvelope, _ item: SealKeyRing.Item, _ isProven: Bool
    ) -> OpaquePointer {
        uses += 1
        var place = 0
        if isProven {
            place = 1
            for other in 1..<places.count {
                if has(other, envelope) {
                    place = other
                    break
                }
                if places[other].lastUsed < places[place].lastUsed { place = other }
            }
        }
        places[place].lastUsed = uses
        guard !has(place, envelope) else { return places[place].cipher }
        var key = derivation.packetKey(item.key, envelope.session)
        let result = withUnsafeMutableBytes(of: &key) { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            defer { ctsync_forget(base, bytes.count) }
            return ctsync_gcm_set_key(places[place].cipher, base)
        }
        precondition(result == 0, "AES cannot fail once it is there")
        places[place].session = envelope.session
        places[place].keyID = envelope.keyID
        return places[place].cipher
    }

    private func has(_ place: Int, _ envelope: SealEnvelope) -> Bool {
        places[place].keyID == envelope.keyID && places[place].session == envelope.session
    }
}
