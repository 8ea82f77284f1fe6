// SPDX-License-Identifier: GPL-2.0-or-later

/// The page's script.
enum PageScript {
    /// In strict mode, without a library.
    static let text = #"""
        "use strict";
        const SECONDS = 600;
        const byId = (id) => document.getElementById(id);
        const number = (value) => Math.round(value).toLocaleString("en");
        let samples = [], last = 0;

        // Times as ct_sync status says them.
        function time(seconds) {
          if (seconds < 0.0995) return (seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0) + " ms";
          if (seconds < 1) return Math.round(seconds * 1000) + " ms";
          if (seconds < 10) return seconds.toFixed(1) + " s";
          const s = Math.floor(seconds);
          if (s < 100) return s + " s";
          if (s < 3600) return Math.floor(s / 60) + " min";
          if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
          return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
        }

        function bytes(value) {
          for (const unit of ["B", "kB", "MB"]) {
            if (value < 1000) return (unit === "B" ? Math.round(value) : value.toFixed(1)) + " " + unit;
            value /= 1000;
          }
          return value.toFixed(1) + " GB";
        }

        function element(tag, text, kind) {
          const made = document.createElement(tag);
          if (text !== undefined) made.textContent = text;
          if (kind) made.className = kind;
          return made;
        }

        function pairs(list, entries) {
          for (const [name, value, kind] of entries) {
            if (value === null || value === undefined) continue;
            const item = element("div");
            item.append(element("dt", name), element("dd", value, kind));
            list.append(item);
          }
          return list;
        }

        function card(title, role, kind, entries) {
          const node = element("div", undefined, "node");
          const head = element("div");
          head.append(element("b", role, kind), " " + title);
          node.append(head, pairs(element("dl"), entries));
          return node;
        }

        const yes = (flag) => flag === null || flag === undefined ? null : flag ? "yes" : "NO";

        function nodes(status) {
          const own = card("node " + status.node_id + " (this one)", status.role,
            status.well ? "good" : "bad", [
              ["in sync", yes(status.in_sync), status.in_sync ? "good" : "bad"],
              ["connections", number(status.entries.held)],
              ["role for", time(status.role_age_seconds)],
              ["ready slaves", status.ready_slaves === null ? null
                : status.ready_slaves + " of " + status.known_slaves],
              ["clock offset", status.clock_offset_seconds === null ? null
                : (status.clock_offset_seconds * 1000).toFixed(2) + " ms"],
              ["layer 2", status.l2drop ? "dark" : "visible"],
            ]);
          const others = status.peers.map((peer) => card("node " + peer.id, peer.role,
            peer.heard ? "good" : "bad", [
              ["in sync", yes(peer.in_sync), peer.in_sync ? "good" : "bad"],
              ["heard", time(peer.heard_age_seconds) + " ago", peer.heard ? "" : "bad"],
              ["behind", peer.behind_packets === null ? null
                : number(peer.behind_packets)
                  + (peer.behind_packets === 1 ? " packet" : " packets")],
              ["connections", peer.entries === null ? null : number(peer.entries)],
              ["address", peer.address],
            ]));
          byId("nodes").replaceChildren(own, ...others);
        }

        function remarks(status) {
          byId("remarks").replaceChildren(...status.remarks.map((remark) => {
            const item = element("li", remark.text);
            for (const hint of remark.try) {
              item.append(element("code", hint.command + "    # " + hint.why));
            }
            return item;
          }));
        }

        function link(status) {
          const link = status.link, counters = status.counters;
          byId("link").replaceChildren();
          pairs(byId("link"), [
            ["device", link.device + ", MTU " + link.mtu_bytes],
            ["carrier", yes(link.present && link.carrier),
              link.present && link.carrier ? "good" : "bad"],
            [link.multicast ? "group" : "peers", link.destinations.map((d) => d.address).join(", ")],
            ["UDP port", String(link.port)],
            ["lost for good", number(counters.packets_lost), counters.packets_lost ? "bad" : ""],
            ["recovered", number(counters.packets_recovered)],
            ["sent again", number(counters.retransmitted)],
            ["refused to send", number(link.sends_refused)],
          ]);
        }

        // Draws values at times; the right edge is now.
        function draw(id, points, now, low, high) {
          const box = byId(id).viewBox.baseVal, room = Math.max(high - low, 1e-9);
          const x = (t) => box.width * (1 - (now - t) / SECONDS);
          const y = (v) => box.height - 2 - (box.height - 4) * (v - low) / room;
          const line = points.map(([t, v], i) =>
            (i ? "L" : "M") + x(t).toFixed(1) + " " + y(v).toFixed(1)).join("");
          const paths = ["area", "line"].map((kind) => {
            const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
            const end = kind === "area" && points.length
              ? "L" + x(points[points.length - 1][0]).toFixed(1) + " " + box.height
                + "L" + x(points[0][0]).toFixed(1) + " " + box.height + "Z" : "";
            path.setAttribute("d", line + end);
            path.setAttribute("class", kind);
            return path;
          });
          byId(id).replaceChildren(...paths);
        }

        function graphs(now) {
          samples = samples.filter((sample) => sample[0] > now - SECONDS);
          const counts = samples.map((sample) => [sample[0], sample[1]]);
          const values = counts.map((point) => point[1]);
          const high = Math.max(1, ...values), low = Math.min(high, ...values);
          const from = high - low < high * 0.1 ? Math.max(0, low - high * 0.1) : 0;
          draw("graph", counts, now, from, high);
          byId("graph-low").textContent = values.length ? "least " + number(low) : "";
          byId("graph-high").textContent = values.length ? "most " + number(high) : "";
          byId("connections").textContent = values.length ? number(values[values.length - 1]) : "";
          const rates = [];
          for (let i = 1; i < samples.length; i++) {
            const [old, next] = [samples[i - 1], samples[i]], span = next[0] - old[0];
            const packets = next[2] + next[3] - old[2] - old[3];
            const octets = next[4] + next[5] - old[4] - old[5];
            if (span > 0 && packets >= 0) rates.push([next[0], packets / span, octets / span]);
          }
          const most = Math.max(1, ...rates.map((rate) => rate[1]));
          draw("traffic", rates, now, 0, most);
          byId("traffic-low").textContent = "0";
          byId("traffic-high").textContent = number(most);
          const rate = rates[rates.length - 1];
          byId("rate").textContent = rate
            ? number(rate[1]) + " packets/s, " + bytes(rate[2]) + "/s" : "";
        }

        function history(list) {
          byId("history").replaceChildren(...list.slice().reverse().map((event) => {
            const item = element("li", undefined, event.good ? "" : "bad");
            const then = new Date(event.time_seconds * 1000);
            const at = element("time", then.toLocaleTimeString("en-GB"));
            at.dateTime = then.toISOString();
            item.append(at, event.text);
            return item;
          }));
        }

        function verdict(text, kind) {
          byId("verdict").textContent = text;
          byId("verdict").className = kind;
          byId("dot").className = "dot " + kind;
        }

        function show(live) {
          const status = live.status;
          samples = samples.concat(live.samples);
          if (live.samples.length) last = live.samples[live.samples.length - 1][0];
          graphs(live.time_seconds);
          history(live.history);
          if (!status) {
            verdict("the daemon does not answer: " + live.trouble, "bad");
            return;
          }
          byId("host").textContent = status.host;
          document.title = status.host + ": " + status.role + (status.well ? "" : " (!)");
          verdict(status.verdict, status.well ? "good" : "bad");
          byId("age").textContent = "node " + status.node_id + ", up " + time(status.uptime_seconds);
          byId("version").textContent = "ct_sync " + status.version;
          byId("facts").textContent = status.facts.map((fact) => fact.text).join("; ");
          remarks(status);
          nodes(status);
          link(status);
        }

        async function ask() {
          try {
            const answer = await fetch("live.json?after=" + last, { cache: "no-store" });
            if (!answer.ok) throw new Error("status " + answer.status);
            show(await answer.json());
          } catch (error) {
            verdict("the exporter does not answer (" + error.message + ")", "bad");
          }
          setTimeout(ask, 1000);
        }
        ask();

        """#
}
