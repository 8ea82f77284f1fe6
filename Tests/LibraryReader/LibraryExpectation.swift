// SPDX-License-Identifier: GPL-2.0-or-later

import CNetfilterConntrack
import CTSync
import Glibc

/// An expectation as libnetfilter_conntrack reads it: the yardstick of `ExpectationCodec`.
struct LibraryExpectation {
    private let object: OpaquePointer

    /// Hands out what the library makes of a message; false where it refuses it.
    static func read(_ message: [UInt8], _ body: (LibraryExpectation) -> Void) -> Bool {
        guard let object = nfexp_new() else { return false }
        defer { nfexp_destroy(object) }
        let isRead = (message + [UInt8](repeating: 0, count: 64)).withUnsafeBytes { bytes in
            guard let header = bytes.baseAddress?.assumingMemoryBound(to: nlmsghdr.self) else {
                return false
            }
            return nfexp_nlmsg_parse(header, object) == 0
        }
        if isRead { body(LibraryExpectation(object: object)) }
        return isRead
    }

    private func has(_ attribute: nf_expect_attr) -> Bool {
        nfexp_attr_is_set(object, attribute) > 0
    }

    private func word(_ attribute: nf_expect_attr) -> UInt32 {
        has(attribute) ? nfexp_get_attr_u32(object, attribute) : 0
    }

    private func text(_ attribute: nf_expect_attr) -> String {
        guard has(attribute), let text = nfexp_get_attr(object, attribute) else { return "" }
        return String(cString: text.assumingMemoryBound(to: CChar.self))
    }

    /// A tuple, which the library keeps as the original tuple of an entry.
    private func tuple(_ attribute: nf_expect_attr) -> Tuple? {
        guard has(attribute), let entry = nfexp_get_attr(object, attribute) else { return nil }
        return LibraryEntry(object: OpaquePointer(entry)).original
    }

    /// What an expectation of ours has else, by name.
    func differences(_ ours: Expectation) -> [String] {
        var found = Differences()
        found.compare("tuple", ours.key.tuple, tuple(ATTR_EXP_EXPECTED))
        found.compare("mask", ours.mask, tuple(ATTR_EXP_MASK))
        found.compare("master", ours.parent, tuple(ATTR_EXP_MASTER))
        let zone = has(ATTR_EXP_ZONE) ? nfexp_get_attr_u16(object, ATTR_EXP_ZONE) : 0
        found.compare("zone", ours.key.zone, zone)
        found.compare("timeout", ours.timeoutSeconds, word(ATTR_EXP_TIMEOUT))
        found.compare("flags", ours.flags, word(ATTR_EXP_FLAGS))
        found.compare("class", ours.policyClass, word(ATTR_EXP_CLASS))
        found.compare("helper", "\(ours.helper)", text(ATTR_EXP_HELPER_NAME))
        let name = (0..<ours.function.count).map { ours.function[$0] }
        found.compare("function", String(decoding: name, as: UTF8.self), text(ATTR_EXP_FN))
        found.compare("is translated", ours.isTranslated, has(ATTR_EXP_NAT_TUPLE))
        if ours.isTranslated {
            found.compare("translation", ours.translation, tuple(ATTR_EXP_NAT_TUPLE))
        }
        let direction = has(ATTR_EXP_NAT_DIR) ? nfexp_get_attr_u8(object, ATTR_EXP_NAT_DIR) : 0
        found.compare("direction", ours.translationDirection, direction)
        return found.lines
    }
}
