// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// What is wrong with a sync link: each trouble is logged once, and once more when it is over.
struct LinkTroubles {
    /// What can be in trouble, each for itself.
    enum Part: Hashable {
        case watch
        case device
        case membership(HostAddress)
        case addresses
        case mtu
        case rules
    }

    private let log: Logger
    private var sentences: [Part: String] = [:]

    init(_ log: Logger) {
        self.log = log
    }

    /// A part is in trouble; another sentence is another trouble.
    mutating func tell(_ part: Part, _ sentence: String) {
        guard sentences.updateValue(sentence, forKey: part) != sentence else { return }
        log.warning("\(sentence)")
    }

    /// A part is as it should be.
    mutating func end(_ part: Part) {
        guard let sentence = sentences.removeValue(forKey: part) else { return }
        log.notice("solved: \(sentence)")
    }
}
