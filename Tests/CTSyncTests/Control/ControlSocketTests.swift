// SPDX-License-Identifier: GPL-2.0-or-later

import Foundation
import Synchronization
import Testing

@testable import CTSync

@Suite struct ControlSocketTests {
    let scratch = ScratchDirectory()
    var path: String { scratch.file("state") }

    /// Runs clients while another thread serves; its longest call must stay short.
    private func whileServing(
        _ answer: @escaping @Sendable (ControlRequest) -> ControlReply,
        _ clients: (String) throws -> Void
    ) throws {
        do {
            let isOver = Flag()
            let socket = SendableBox(try ControlSocket(controlFile: path))
            let server = ThreadBox(
                try WorkerThread(named: "server") {
                    while !isOver.isSet {
                        guard ScratchDirectory.isReadable(socket.value.raw, milliseconds: 5) else {
                            continue
                        }
                        let start = Clock.now()
                        socket.value.serve(answer)
                        #expect(Clock.now() - start < 5 * Duration.second)
                    }
                })
            defer {
                isOver.set(true)
                server.join()
                socket.value.remove()
            }
            try clients(path)
        }
        #expect(access(path + ".sock", F_OK) != 0)
    }

    private func connected(_ path: String) throws -> CInt {
        let raw = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        let result = ControlSocket.withAddress(path + ".sock") { connect(raw, $0, $1) }
        try #require(result == 0)
        return raw
    }

    private static func echo(_ request: ControlRequest) -> ControlReply {
        guard request.subject != "nothing" else { return .notUnderstood }
        return ControlReply(
            [ControlLine("verb", request.verb.rawValue), ControlLine("subject", request.subject)]
                + request.arguments)
    }

    @Test func aRequestIsAnsweredAndAnErrorIsOne() throws {
        try whileServing(Self.echo) { path in
            let lines = try ControlClient.request(
                controlFile: path, [ControlLine("set", "rate"), ControlLine("value", "a=b")])
            #expect(
                lines == [
                    ControlLine("verb", "set"), ControlLine("subject", "rate"),
                    ControlLine("value", "a=b"),
                ])
            let refused = #expect(throws: SystemError.self) {
                try ControlClient.request(controlFile: path, [ControlLine("get", "nothing")])
            }
            #expect(refused?.errno == EINVAL)
            let unknown = #expect(throws: SystemError.self) {
                try ControlClient.request(controlFile: path, [ControlLine("verb", "x")])
            }
            #expect(unknown?.errno == EINVAL)
            var status = stat()
            stat(path + ".sock", &status)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func slowSilentAndHostileClientsKeepNobodyOut() throws {
        try whileServing(Self.echo) { path in
            var clients: [CInt] = []
            defer { for client in clients { close(client) } }
            for turn in 0..<100 {
                let client = try connected(path)
                clients.append(client)
                switch turn % 4 {
                case 0: break
                case 1: send(client, "get=sta", 7, CInt(MSG_NOSIGNAL))
                case 2:
                    let endless = [UInt8](repeating: 0x41, count: 100_000)
                    send(client, endless, endless.count, CInt(MSG_DONTWAIT | MSG_NOSIGNAL))
                default: send(client, "\u{1}\n\n", 3, CInt(MSG_NOSIGNAL))
                }
                if turn % 10 == 0 {
                    let lines = try ControlClient.request(
                        controlFile: path, [ControlLine("get", "status")])
                    #expect(lines.count == 2)
                }
            }
        }
    }

    @Test func aRequestMayComeByteByByteAndAnAnswerBeBig() throws {
        let big = (0..<20_000).map { ControlLine("line\($0)", "some words to fill the buffer") }
        try whileServing({ _ in ControlReply(big) }) { path in
            #expect(try ControlClient.request(controlFile: path, [ControlLine("get", "x")]) == big)
            let deaf = try connected(path)
            defer { close(deaf) }
            for byte in "get=x\n\n".utf8 {
                var byte = byte
                #expect(send(deaf, &byte, 1, CInt(MSG_NOSIGNAL)) == 1)
                usleep(1_000)
            }
            // That one never reads its answer; the next one gets its own.
            #expect(try ControlClient.request(controlFile: path, [ControlLine("get", "x")]) == big)
        }
    }

    /// Numbered lines, a thousand a piece, now and then none.
    private final class Numbers: ControlStream {
        private var next = 0
        private var turn = 0
        private let end: Int

        init(end: Int) { self.end = end }

        func next(_ reply: inout TextBuffer) -> CInt? {
            turn += 1
            guard turn % 3 != 0 else { return nil }
            for _ in 0..<1_000 {
                reply.append(ControlLine("line", "\(next)"))
                next += 1
            }
            return next < end ? nil : ENOENT
        }
    }

    @Test func anAnswerOfAnyLengthComesPieceByPiece() throws {
        try whileServing({ request in
            request.subject == "x"
                ? ControlReply(Numbers(end: 200_000)) : ControlReply(done: "quick")
        }) { path in
            // One that never reads holds up neither the long answer nor the short ones.
            let deaf = try connected(path)
            defer { close(deaf) }
            #expect(send(deaf, "get=x\n\n", 7, CInt(MSG_NOSIGNAL)) == 7)
            var count = 0
            let number = try ControlClient.request(controlFile: path, [ControlLine("get", "x")]) {
                #expect($0.value == "\(count)")
                count += 1
                guard count % 50_000 == 0 else { return }
                do {
                    let quick = try ControlClient.request(
                        controlFile: path, [ControlLine("get", "y")])
                    #expect(quick == [ControlLine("done", "quick")])
                } catch {
                    Issue.record("\(error)")
                }
            }
            #expect(count == 200_000 && number == ENOENT)
            let refused = try ControlClient.request(
                controlFile: path, [ControlLine("verb", "x")]
            ) { _ in Issue.record("a line") }
            #expect(refused == EINVAL)
        }
    }

    /// Pieces that take a while each; remembers when one was asked for too early.
    private final class Slow: ControlStream {
        private var left = 50
        private var end: Instant = 0
        private var took: UInt64 = 0
        private(set) var earlyCount = 0

        func next(_ reply: inout TextBuffer) -> CInt? {
            let start = Clock.now()
            if start < end + min(3 * took, 20 * Duration.millisecond) { earlyCount += 1 }
            usleep(200)
            reply.append(ControlLine("line", "\(left)"))
            left -= 1
            end = Clock.now()
            took = end - start
            return left > 0 ? nil : 0
        }
    }

    /// Who looks takes a quarter of the thread's time: three more of its parts go by between pieces.
    @Test func aLongAnswerRestsBetweenItsPieces() throws {
        let stream = SendableBox(Slow())
        try whileServing({ _ in ControlReply(stream.value) }) { path in
            var count = 0
            let number = try ControlClient.request(controlFile: path, [ControlLine("get", "x")]) {
                _ in count += 1
            }
            #expect(count == 50 && number == 0)
        }
        #expect(stream.value.earlyCount == 0)
    }

    /// What is not of the list comes between its values, as it was said.
    @Test func theValuesOfAListComeAsTheyLie() throws {
        let stream = SendableBox(Numbers(end: 20_000))
        try whileServing({ _ in ControlReply(stream.value) }) { path in
            var count = 0
            let number = try ControlClient.request(
                controlFile: path, [ControlLine("get", "x")], listKey: "line",
                eachValue: { value in
                    #expect(String(decoding: value, as: UTF8.self) == "\(count)")
                    count += 1
                }
            ) { _ in Issue.record("a line that is none of the list") }
            #expect(count == 20_000 && number == ENOENT)
        }
        try whileServing({ _ in
            ControlReply([
                ControlLine("lines", "2"), ControlLine("line", "a=b"), ControlLine("line", ""),
            ])
        }) { path in
            var seen: [String] = []
            let number = try ControlClient.request(
                controlFile: path, [ControlLine("get", "x")], listKey: "line",
                eachValue: { seen.append(String(decoding: $0, as: UTF8.self)) }
            ) { seen.append("\($0.key) \($0.value)") }
            #expect(seen == ["lines 2", "a=b", ""] && number == 0)
        }
    }

    /// A piece wakes the daemon a thousand times a second; nothing else of the node is looked at then.
    @Test func aLongAnswerGoesOnByItself() throws {
        let socket = try ControlSocket(controlFile: path)
        defer { socket.remove() }
        #expect(socket.goOn(), "nothing is to be done")
        let client = try connected(path)
        defer { close(client) }
        #expect(send(client, "get=x\n\n", 7, CInt(MSG_NOSIGNAL)) == 7)
        #expect(!socket.goOn(), "somebody comes")
        var asked = 0
        func serve() {
            socket.serve { request in
                asked += 1
                return request.subject == "x"
                    ? ControlReply(Numbers(end: 20_000)) : ControlReply(done: "quick")
            }
        }
        while asked == 0 { serve() }
        var reply = [UInt8](repeating: 0, count: 1 << 16)
        var count = 0
        func read() {
            while case let got = recv(client, &reply, reply.count, CInt(MSG_DONTWAIT)), got > 0 {
                count += reply[..<got].count { $0 == UInt8(ascii: "\n") }
            }
        }
        while count < 10_000 {
            #expect(ScratchDirectory.isReadable(socket.raw, milliseconds: 1_000))
            #expect(socket.goOn(), "a piece after \(count)")
            read()
        }
        let other = try connected(path)
        defer { close(other) }
        #expect(send(other, "get=y\n\n", 7, CInt(MSG_NOSIGNAL)) == 7)
        #expect(!socket.goOn(), "somebody else comes")
        while asked == 1 { serve() }
        var isOver = false
        while !isOver {
            #expect(ScratchDirectory.isReadable(socket.raw, milliseconds: 1_000))
            isOver = !socket.goOn()
            read()
        }
        #expect(count == 20_002, "the numbers, the errno and the empty line")
    }

    /// Who has told its user that nothing was changed must be right; who has only ended its input
    /// still waits for the answer.
    @Test func anOrderOfAClientThatHasGoneIsNotCarriedOut() throws {
        let socket = try ControlSocket(controlFile: path)
        defer { socket.remove() }
        let order = "set=role\nrole=master\n\n"
        let (gone, waiting) = (try connected(path), try connected(path))
        defer { close(waiting) }
        #expect(send(gone, order, order.utf8.count, CInt(MSG_NOSIGNAL)) == order.utf8.count)
        close(gone)
        var orders = 0
        for _ in 0..<3 {
            socket.serve { _ in
                orders += 1
                return ControlReply(done: "")
            }
        }
        #expect(orders == 0)
        #expect(send(waiting, order, order.utf8.count, CInt(MSG_NOSIGNAL)) == order.utf8.count)
        shutdown(waiting, CInt(SHUT_WR))
        for _ in 0..<3 {
            socket.serve { _ in
                orders += 1
                return ControlReply(done: "")
            }
        }
        #expect(orders == 1)
        var reply = [UInt8](repeating: 0, count: 100)
        #expect(recv(waiting, &reply, reply.count, CInt(MSG_DONTWAIT)) > 0)
    }

    @Test func tooLongARequestIsRefused() throws {
        try whileServing(Self.echo) { path in
            let client = try connected(path)
            defer { close(client) }
            let long = [UInt8](repeating: 0x41, count: 4_097)
            #expect(send(client, long, long.count, CInt(MSG_NOSIGNAL)) == long.count)
            var reply = [UInt8](repeating: 0, count: 100)
            let count = recv(client, &reply, reply.count, 0)
            #expect(String(decoding: reply.prefix(max(0, count)), as: UTF8.self) == "errno=90\n\n")
        }
    }

    @Test func aDeadDaemonsSocketIsReplacedAndASilentOneTimesOut() throws {
        let nobody = #expect(throws: SystemError.self) {
            try ControlClient.request(controlFile: path, [ControlLine("get", "status")])
        }
        #expect(nobody?.errno == ENOENT)
        do {
            _ = try ControlSocket(controlFile: path)
        }
        #expect(access(path + ".sock", F_OK) == 0)
        let dead = #expect(throws: SystemError.self) {
            try ControlClient.request(controlFile: path, [ControlLine("get", "status")])
        }
        #expect(dead?.errno == ECONNREFUSED)
        let silent = try ControlSocket(controlFile: path)
        let late = #expect(throws: SystemError.self) {
            try ControlClient.request(
                controlFile: path, [ControlLine("get", "status")], timeoutMilliseconds: 50)
        }
        #expect(late?.errno == ETIMEDOUT)
        silent.remove()
    }

    @Test func aPathTooLongForASocketIsAnError() throws {
        let long = scratch.file(String(repeating: "x", count: 120))
        let error = #expect(throws: SystemError.self) { _ = try ControlSocket(controlFile: long) }
        #expect(error?.errno == ENAMETOOLONG)
    }

    /// The second socket answers questions, to whom may open it, and takes no orders.
    @Test func theSocketOfTheGroupTakesNoOrders() throws {
        let path = path
        let socket = try ControlSocket(controlFile: path, viewFor: getegid())
        let file = path + ControlSocket.viewSuffix
        var information = stat()
        #expect(stat(file, &information) == 0)
        #expect(information.st_mode & 0o777 == 0o660 && information.st_gid == getegid())
        func ask(_ verb: String) throws -> String {
            let raw = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
            defer { close(raw) }
            try #require(ControlSocket.withAddress(file) { connect(raw, $0, $1) } == 0)
            let bytes = ControlLine.render([ControlLine(verb, "status")])
            #expect(write(raw, bytes, bytes.count) == bytes.count)
            var answer = [UInt8](repeating: 0, count: 1_024)
            for _ in 0..<1_000 {
                socket.serve { Self.echo($0) }
                let count = recv(raw, &answer, answer.count, CInt(MSG_DONTWAIT))
                if count > 0 { return String(decoding: answer[..<count], as: UTF8.self) }
                usleep(1_000)
            }
            return ""
        }
        #expect(try ask("get") == "verb=get\nsubject=status\nerrno=0\n\n")
        #expect(try ask("set") == "error=this socket takes no orders\nerrno=\(EPERM)\n\n")
        socket.remove()
        #expect(access(file, F_OK) != 0)
    }

    /// Root asks where orders are taken too; the others where they may.
    @Test func whoIsNotRootAsksTheOtherSocket() {
        let question = [ControlLine("get", "status")]
        let order = [ControlLine("set", "role")]
        let usual = path + ControlSocket.suffix
        #expect(ControlClient.socketPath(path, question, userID: 0) == usual)
        #expect(ControlClient.socketPath(path, question, userID: 1_000) == usual)
        ScratchDirectory.write("", to: path + ControlSocket.viewSuffix)
        #expect(ControlClient.socketPath(path, question, userID: 0) == usual)
        #expect(ControlClient.socketPath(path, order, userID: 1_000) == usual)
        #expect(
            ControlClient.socketPath(path, question, userID: 1_000)
                == path + ControlSocket.viewSuffix)
    }
}
