// SPDX-License-Identifier: GPL-2.0-or-later

import CTSync
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// The HTTP server, by swift-nio: one thread for all its clients.
final class Server: Sendable {
    /// Clients at the same time, at most; one more is let go at once.
    static let clientLimit = 64
    /// A client that says nothing for so long is let go.
    static let patience = TimeAmount.seconds(15)

    private let channel: any Channel

    /// Listens.
    ///
    /// - Throws: `IOError` if that address cannot be had.
    init(_ desk: Desk, _ listen: ListenAddress) throws {
        let clients = ClientCount()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                guard clients.enter() else { return channel.close() }
                channel.closeFuture.whenComplete { _ in clients.leave() }
                return channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(IdleStateHandler(allTimeout: Self.patience))
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(Visitor(desk))
                }
            }
        channel = try bootstrap.bind(host: listen.address, port: Int(listen.port)).wait()
    }

    /// Whether it listens.
    var isOpen: Bool { channel.isActive }
}

/// How many clients there are.
private final class ClientCount: Sendable {
    private let count = Atomic(0)

    /// Counts one; false if there are too many.
    func enter() -> Bool {
        let (_, new) = count.add(1, ordering: .relaxed)
        if new > Server.clientLimit { leave() }
        return new <= Server.clientLimit
    }

    func leave() {
        count.subtract(1, ordering: .relaxed)
    }
}

/// One client: its requests are answered one after the other.
private final class Visitor: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let desk: Desk
    private var head: HTTPRequestHead?

    init(_ desk: Desk) {
        self.desk = desk
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        // What no request here has; the patience bounds it.
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let answer = Answer(request.method, request.uri, desk)
        let body = context.channel.allocator.buffer(string: answer.body)
        var headers = HTTPHeaders(Answer.headers)
        headers.add(name: "Content-Type", value: answer.type)
        headers.add(name: "Content-Length", value: String(body.readableBytes))
        if answer.status == 405 { headers.add(name: "Allow", value: "GET, HEAD") }
        let isKept = request.isKeepAlive
        headers.add(name: "Connection", value: isKept ? "keep-alive" : "close")
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status),
            headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !isKept { channel.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
