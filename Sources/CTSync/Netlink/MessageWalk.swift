// SPDX-License-Identifier: GPL-2.0-or-later

extension RawSpan {
    /// The length of the message at the span's start (nlmsg_len), all of it within the span.
    @inline(__always)
    func messageLength() throws(NetlinkError) -> Int {
        guard let length = messageLength(at: 0) else { throw .shortMessage }
        return length
    }

    /// The offset of the message behind the one at an offset; nil if its length cannot be true.
    @inline(__always)
    func nextMessage(after offset: Int) -> Int? {
        messageLength(at: offset).map { Swift.min(offset + (($0 + 3) & ~3), byteCount) }
    }

    @inline(__always)
    private func messageLength(at offset: Int) -> Int? {
        guard byteCount - offset >= NLMSG_HDRLEN else { return nil }
        let length = Int(hostUInt32(at: offset))
        guard length >= NLMSG_HDRLEN, length <= byteCount - offset else { return nil }
        return length
    }

    /// The error number of the NLMSG_ERROR or NLMSG_DONE at an offset: 0 for none.
    func errorNumber(at offset: Int) throws(NetlinkError) -> CInt {
        guard byteCount - offset >= NLMSG_HDRLEN + 4,
            hostUInt32(at: offset) >= UInt32(NLMSG_HDRLEN + 4)
        else { throw .shortMessage }
        return 0 &- CInt(bitPattern: hostUInt32(at: offset + NLMSG_HDRLEN))
    }
}
