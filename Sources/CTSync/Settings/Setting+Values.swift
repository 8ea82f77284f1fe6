// SPDX-License-Identifier: GPL-2.0-or-later

import Logging

/// The kinds of values; each either reads its text or says what is allowed.
extension Setting {
    /// A whole number within limits.
    func number(
        _ range: ClosedRange<Int>, _ unit: String? = nil
    ) throws(ConfigurationError) -> Int {
        let digits = !value.isEmpty && value.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        guard digits, let number = Int(value), range.contains(number) else {
            let unit = unit.map { " (\($0))" } ?? ""
            throw ConfigurationError(
                self, mustBe: "a number from \(range.lowerBound) to \(range.upperBound)\(unit)")
        }
        return number
    }

    /// A power of two within limits that are powers of two themselves.
    func powerOfTwo(_ range: ClosedRange<Int>) throws(ConfigurationError) -> Int {
        guard let number = Int(value), range.contains(number), number & (number - 1) == 0 else {
            throw ConfigurationError(
                self, mustBe: "a power of two from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// 0 or 1.
    func flag() throws(ConfigurationError) -> Bool {
        switch value {
        case "0": return false
        case "1": return true
        default: throw ConfigurationError(self, mustBe: "0 or 1")
        }
    }

    /// A backend of l2drop by its name.
    func l2dropBackend() throws(ConfigurationError) -> L2DropChoice {
        guard let choice = L2DropChoice(rawValue: value) else {
            throw ConfigurationError(self, mustBe: "auto, netdev or tables")
        }
        return choice
    }

    /// What becomes of l2drop at an orderly stop: whether the node is opened.
    func opensOnExit() throws(ConfigurationError) -> Bool {
        switch value {
        case "keep": return false
        case "open": return true
        default: throw ConfigurationError(self, mustBe: "keep or open")
        }
    }

    /// A role by its name or its number.
    func role() throws(ConfigurationError) -> Role {
        guard let role = Role(text: value) else {
            throw ConfigurationError(self, mustBe: "master, slave, 1 (master) or 0 (slave)")
        }
        return role
    }

    /// What the kernel takes for a device's name.
    func device() throws(ConfigurationError) -> String {
        let plain = value.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: ":")
        }
        guard plain, (1...15).contains(value.utf8.count), value != ".", value != ".." else {
            throw ConfigurationError(
                self, mustBe: "the name of a network device (1 to 15 letters, no space, / or :)")
        }
        return value
    }

    /// An absolute path that leaves room for the names beside it in a socket's address.
    func controlFile() throws(ConfigurationError) -> String {
        let limit = ControlSocket.pathLimit - ControlSocket.suffix.utf8.count
        guard value.hasPrefix("/"), !value.hasSuffix("/"), !value.utf8.contains(0),
            value.utf8.count <= limit
        else {
            throw ConfigurationError(
                self, mustBe: "the absolute path of a file, of at most \(limit) bytes")
        }
        return value
    }

    /// A multicast group.
    func group() throws(ConfigurationError) -> HostAddress {
        guard let address = HostAddress(text: value), address.isMulticast else {
            throw ConfigurationError(
                self, mustBe: "a multicast address (in 224.0.0.0/4 or ff00::/8)")
        }
        return address
    }

    /// The address of one other node.
    func peer() throws(ConfigurationError) -> HostAddress {
        guard let address = HostAddress(text: value), address.isUnicast else {
            throw ConfigurationError(
                self, mustBe: "the IPv4 or IPv6 address of one other node, without port or scope")
        }
        return address
    }

    /// A level of swift-log.
    func logLevel() throws(ConfigurationError) -> Logger.Level {
        guard let level = Logger.Level(rawValue: value) else {
            let all = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConfigurationError(self, mustBe: "one of \(all)")
        }
        return level
    }

    /// A rule of the replication filter.
    func replicationRule() throws(ConfigurationError) -> ReplicationRule {
        do throws(RuleMistake) {
            return try ReplicationRule(text: value)
        } catch {
            throw ConfigurationError(
                "\(subject) is \(ConfigurationError.quoted(value)), in which \(error.sentence)",
                at: origin.place)
        }
    }
}
