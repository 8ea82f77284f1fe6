// SPDX-License-Identifier: GPL-2.0-or-later

/// The seal as the status has it, and its keys read again.
extension Node {
    /// What is sealed and who speaks in another way.
    func sealReport(_ now: Instant) -> NodeReport.Seal {
        let seal = keys.seal
        let report = seal.report
        return NodeReport.Seal(
            mode: seal.mode, keyFile: keys.path, keyCount: seal.keyCount,
            sealsToAll: seal.isSealing(to: nil, now: now), opened: report.opened,
            strangers: report.strangers.all(now: now), readings: keys.readings)
    }

    /// Has packets leave room for an envelope, and then takes other keys.
    ///
    /// - Throws: `ConfigurationError`; everything is as it was then.
    func rekey() throws(ConfigurationError) -> String {
        master.ring.limitPackets(to: largestPacket - SealEnvelope.byteCount)
        master.ring.flush()
        defer { limitPackets() }
        return try keys.rekey()
    }
}
