// SPDX-License-Identifier: GPL-2.0-or-later

internal import CCTSyncShims
import Glibc
import Synchronization

/// The memberships of the sync socket; for the control thread.
extension SyncSocket {
    /// Is a member of the groups of the families that the device has an address of, and no others: a
    /// packet that cannot be answered is not heard.
    ///
    /// - Returns: what could not be joined, and why.
    func join() -> [(HostAddress, SystemError)] {
        guard isMulticast else { return [] }
        let usable = device.families
        let wanted = destinations.filter { usable.contains(FamilySet($0.family)) }
        guard !wanted.isEmpty else { return [] }
        leave(all: false)
        var failures: [(HostAddress, SystemError)] = []
        let index = tiedIndex.load(ordering: .relaxed)
        for group in wanted.map({ HostAddress($0.family, $0.address) }) {
            guard !state.withLock({ $0.joined.contains { $0.group == group } }) else { continue }
            do throws(SystemError) {
                try change(group, index, ctsync_join_group)
                state.withLock { $0.joined.append((group, index)) }
            } catch {
                failures.append((group, error))
            }
        }
        return failures
    }

    /// Leaves its groups and joins them again: the switches on the way hear of it once more.
    func joinAgain() -> [(HostAddress, SystemError)] {
        leave(all: true)
        return join()
    }

    /// Leaves groups; not leaving those of a device that is gone would fill the socket's list of
    /// memberships (net.ipv4.igmp_max_memberships).
    func leave(all: Bool) {
        let usable = device.families
        let left = state.withLock { state in
            let left = state.joined.filter { all || !usable.contains(FamilySet($0.group.family)) }
            state.joined.removeAll { all || !usable.contains(FamilySet($0.group.family)) }
            return left
        }
        for (group, index) in left {
            do throws(SystemError) {
                try change(group, index, ctsync_leave_group)
            } catch {
                // It was left with its device.
            }
        }
    }

    private func change(
        _ group: HostAddress, _ index: UInt32,
        _ call: (CInt, CInt, UnsafeRawPointer?, UInt32) -> CInt
    ) throws(SystemError) {
        var bytes = sockaddr_storage()
        PeerAddress(address: group.address, family: group.family, port: 0)
            .write(scope: index, as: group.family, to: &bytes)
        let offset = group.family == .ipv4 ? 4 : 8
        try retrying("multicast group \(group)") {
            withUnsafeBytes(of: &bytes) {
                call(
                    descriptor.raw, CInt(group.family.rawValue),
                    $0.baseAddress.map { UnsafeRawPointer($0 + offset) }, index)
            }
        }
    }
}
