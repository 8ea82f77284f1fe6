// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// What a start prepares on the machine, and can do without.
extension Daemon {
    /// The socket of those who may look and order nothing; nil if there is no group of them.
    static func viewSocket(_ configuration: Configuration, _ log: Logger) -> ControlSocket? {
        guard let group = GroupFile.number(of: GroupFile.viewers) else { return nil }
        do throws(SystemError) {
            return try ControlSocket(controlFile: configuration.controlFile, viewFor: group)
        } catch {
            log.info("the group \(GroupFile.viewers) cannot ask for the status: \(error)")
            return nil
        }
    }

    /// Sets what is not as it should be, and says what cannot be set; the engines look again.
    static func keepSettings(_ log: Logger) {
        for kept in KeptSetting.all {
            do throws(SystemError) {
                let state = try kept.keep(in: Kernel())
                guard let sentence = kept.sentence(state), state != .mended else { continue }
                log.warning("\(sentence)")
            } catch {
                log.warning("it is not known whether \(kept.loss): \(error)")
            }
        }
    }
}
