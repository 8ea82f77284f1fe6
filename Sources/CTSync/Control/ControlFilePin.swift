// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims

/// Holds a file without having it open, so that it stands in the way of no lease (O_PATH).
final class ControlFilePin {
    private let descriptor: Descriptor

    /// Pins an open file; nil if /proc is not mounted, and then the pin is done without.
    init?(_ file: borrowing Descriptor) {
        let pinned = ctsync_pin(file.raw)
        guard pinned >= 0 else { return nil }
        descriptor = Descriptor(owning: pinned)
    }
}
