// SPDX-License-Identifier: GPL-2.0-or-later

@testable import CTSync

extension Entry {
    /// One line for a failed comparison.
    var summary: String {
        """
        \(key.tuple.summary) zone \(key.zone)/\(key.zoneDirection) reply \(reply.summary) \
        fields \(fields.rawValue) status \(status.rawValue) timeout \(timeoutSeconds) \
        mark \(mark) state \(protocolInfo.state) flags \(protocolInfo.originalFlags) \
        \(protocolInfo.replyFlags) scales \(protocolInfo.windowScales) \
        tags \(protocolInfo.originalTag) \(protocolInfo.replyTag) \
        master \(extras.parent.summary) helper \(extras.helper.low) \
        labels \(extras.labelsLow) \(extras.labelsHigh) synproxy \(extras.synproxyISN)
        """
    }
}

extension Tuple {
    var summary: String {
        """
        \(protocolNumber):\(String(source.high, radix: 16)).\(String(source.low, radix: 16)):\
        \(sourcePort)>\(String(destination.high, radix: 16)).\
        \(String(destination.low, radix: 16)):\(destinationPort)
        """
    }
}
