// SPDX-License-Identifier: GPL-2.0-or-later

import Glibc

/// As much of FTP as a connection-tracking helper reads: a control channel over which one side
/// announces where the other is to open a data channel (PORT, PASV, EPRT and EPSV).
package final class FTPDialog: Sendable {
    /// A data channel that is announced and not open: who listens, and what the other has been told.
    package struct Channel: Sendable {
        let listener: Socket
        let target: Endpoint
        let isPassive: Bool
    }

    /// Both ends of an open data channel.
    package struct Ends: Sendable {
        let client: Socket
        let server: Socket
    }

    private let client: Namespace
    private let server: Namespace
    private let ipv6: Bool
    private let target: Endpoint
    private let control: Ends

    /// Opens the control channel.
    ///
    /// - Parameters:
    ///   - endpoint: where the server listens.
    ///   - target: where the client connects to.
    package init(
        from client: Namespace, to server: Namespace, ipv6: Bool, at endpoint: Endpoint,
        target: Endpoint
    ) throws {
        (self.client, self.server, self.ipv6, self.target) = (client, server, ipv6, target)
        let listener = try Socket.listening(on: endpoint, in: server)
        let socket = try Socket.connecting(to: target, in: client)
        control = Ends(client: socket, server: try Self.accepted(by: listener))
        try control.server.send(Array("220 ready\r\n".utf8))
        _ = try line(from: control.client)
        try control.client.send(Array("NOOP\r\n".utf8))
        _ = try line(from: control.server)
    }

    /// Announces a data channel: by the server where it is passive, else by the client.
    package func announce(isPassive: Bool, port: UInt16) throws -> Channel {
        let text = "\(port >> 8),\(port & 0xFF)"
        if isPassive {
            let own = Endpoint(Plan.server(ipv6: ipv6), port)
            let listener = try Socket.listening(on: own, in: server)
            try control.client.send(Array((ipv6 ? "EPSV\r\n" : "PASV\r\n").utf8))
            _ = try line(from: control.server)
            let address = own.address.split(separator: ".").joined(separator: ",")
            let reply =
                ipv6
                ? "229 Entering Extended Passive Mode (|||\(port)|)\r\n"
                : "227 Entering Passive Mode (\(address),\(text)).\r\n"
            try control.server.send(Array(reply.utf8))
            let told = try endpoint(in: try line(from: control.client), fallback: target.address)
            return Channel(listener: listener, target: told, isPassive: true)
        }
        let own = Endpoint(Plan.client(ipv6: ipv6), port)
        let listener = try Socket.listening(on: own, in: client)
        let address = own.address.split(separator: ".").joined(separator: ",")
        let command =
            ipv6 ? "EPRT |2|\(own.address)|\(port)|\r\n" : "PORT \(address),\(text)\r\n"
        try control.client.send(Array(command.utf8))
        let told = try endpoint(in: try line(from: control.server), fallback: own.address)
        try control.server.send(Array("200 fine\r\n".utf8))
        _ = try line(from: control.client)
        return Channel(listener: listener, target: told, isPassive: false)
    }

    /// Opens an announced data channel.
    package func open(_ channel: Channel) throws -> Ends {
        let opened = try Socket.connecting(
            to: channel.target, in: channel.isPassive ? client : server)
        let accepted = try Self.accepted(by: channel.listener)
        return channel.isPassive
            ? Ends(client: opened, server: accepted) : Ends(client: accepted, server: opened)
    }

    /// Sends a line over an open channel both ways.
    package func exchange(_ ends: Ends) throws {
        try ends.server.send(Array("one file\n".utf8))
        guard try line(from: ends.client) == "one file" else {
            throw NeverHappened("the file that was sent", within: 2)
        }
        try ends.client.send(Array("another\n".utf8))
        guard try line(from: ends.server) == "another" else {
            throw NeverHappened("the other file that was sent", within: 2)
        }
    }

    /// Opens an announced data channel and sends something over it both ways.
    package func transfer(over channel: Channel) throws {
        try exchange(try open(channel))
    }

    private static func accepted(by listener: Socket) throws -> Socket {
        var socket: Socket?
        try eventually("a connection", within: 2, every: 0) {
            socket = try listener.accept()
            return socket != nil
        }
        guard let socket else { throw NeverHappened("a connection", within: 2) }
        return socket
    }

    private func line(from socket: Socket) throws -> String {
        var bytes: [UInt8] = []
        try eventually("a line of FTP", within: 2, every: 0) {
            var byte: UInt8 = 0
            let count = try withUnsafeMutableBytes(of: &byte) { try socket.receive(into: $0) }
            if count == 0 { throw CallFailed("a line of FTP", errno: ECONNRESET) }
            guard count == 1 else { return false }
            if byte == 0x0A { return true }
            if byte != 0x0D { bytes.append(byte) }
            return false
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Reads an announcement, as the firewall has left it.
    private func endpoint(in line: String, fallback: String) throws -> Endpoint {
        let wrong = NeverHappened("an announcement: \(line)", within: 0)
        if line.contains("|") {
            let parts = line.split(separator: "|", omittingEmptySubsequences: false)
            guard parts.count >= 4, let port = UInt16(parts[3]) else { throw wrong }
            return Endpoint(parts[2].isEmpty ? fallback : String(parts[2]), port)
        }
        let digits = line.drop { $0 != " " }.split { !$0.isNumber }.compactMap { UInt16($0) }
        guard digits.count == 6 else { throw wrong }
        let address = digits[..<4].map { "\($0)" }.joined(separator: ".")
        return Endpoint(address, digits[4] << 8 | digits[5])
    }
}
