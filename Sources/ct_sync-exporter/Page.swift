// SPDX-License-Identifier: GPL-2.0-or-later

/// The page at `/`: one document without anything from elsewhere, in the colours that the browser asks
/// for. What it shows comes from /live.json, each second, and goes in as text only.
enum Page {
    /// The document.
    static let text = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>ct_sync</title>
        <link rel="icon" href="data:,">
        <style>
        \(style)</style>
        </head>
        <body>
        \(content)<script>
        \(PageScript.text)</script>
        </body>
        </html>

        """

    private static let content = """
        <header>
          <h1><span id="dot" class="dot"></span><span id="host">ct_sync</span></h1>
          <p id="verdict" role="status">asking the node ...</p>
          <p id="facts"></p>
          <p id="age" class="quiet"></p>
        </header>
        <main>
          <ul id="remarks"></ul>
          <section>
            <h2>Nodes</h2>
            <div id="nodes" class="nodes"></div>
          </section>
          <section>
            <h2>Connections <span id="connections" class="now"></span></h2>
            <figure>
              <svg id="graph" viewBox="0 0 1000 160" preserveAspectRatio="none" role="img"
                aria-label="Connections in the last ten minutes"></svg>
              <figcaption><span id="graph-low"></span><span>the last ten minutes</span>
                <span id="graph-high"></span></figcaption>
            </figure>
          </section>
          <section>
            <h2>Sync link <span id="rate" class="now"></span></h2>
            <figure>
              <svg id="traffic" viewBox="0 0 1000 80" preserveAspectRatio="none" role="img"
                aria-label="Packets a second in the last ten minutes"></svg>
              <figcaption><span id="traffic-low"></span><span>packets a second</span>
                <span id="traffic-high"></span></figcaption>
            </figure>
            <dl id="link"></dl>
          </section>
          <section>
            <h2>History</h2>
            <ol id="history" class="history"></ol>
          </section>
        </main>
        <footer class="quiet"><span id="version"></span>
          <a href="metrics">metrics</a> <a href="status.json">status.json</a></footer>

        """

    private static let style = """
        :root { --back: #f6f7f8; --card: #fff; --text: #1b1f24; --quiet: #5c6670;
          --line: #d5dae0; --good: #14753a; --bad: #b3261e; --graph: #2463b0; }
        @media (prefers-color-scheme: dark) {
          :root { --back: #14171a; --card: #1d2125; --text: #e6e9ec; --quiet: #9aa4ae;
            --line: #353b42; --good: #58c583; --bad: #ff8078; --graph: #7db3f5; }
        }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 70rem; padding: 1rem; background: var(--back);
          color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
        h1 { font-size: 1.4rem; margin: 0; }
        h2 { font-size: 1rem; margin: 0 0 .5rem; }
        header p { margin: .2rem 0; }
        #verdict { font-size: 1.15rem; font-weight: 600; }
        .quiet, dt, figcaption, .history time { color: var(--quiet); }
        .now { font-weight: 400; font-variant-numeric: tabular-nums; }
        .dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%;
          margin-right: .4em; background: var(--quiet); }
        .good { color: var(--good); } .bad { color: var(--bad); }
        .dot.good { background: var(--good); } .dot.bad { background: var(--bad); }
        section, #remarks:not(:empty) { background: var(--card); border: 1px solid var(--line);
          border-radius: .5rem; padding: .8rem 1rem; margin: 1rem 0; }
        #remarks { list-style: none; margin: 0; padding: 0; }
        #remarks code { display: block; margin: .2rem 0 0 1rem; white-space: pre-wrap; }
        .nodes { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
        .node { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; }
        .node b { text-transform: uppercase; }
        dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .5rem;
          margin: .5rem 0 0; }
        .node dl { grid-template-columns: 1fr 1fr; }
        dt { font-size: .85rem; } dd { margin: 0; font-variant-numeric: tabular-nums; }
        figure { margin: 0; } svg { display: block; width: 100%; height: 160px; }
        #traffic { height: 80px; }
        svg path { fill: none; stroke: var(--graph); stroke-width: 2;
          vector-effect: non-scaling-stroke; }
        svg path.area { fill: var(--graph); opacity: .12; stroke: none; }
        figcaption { display: flex; justify-content: space-between; font-size: .85rem; }
        .history { list-style: none; margin: 0; padding: 0; }
        .history li { padding: .15rem 0; } .history time { margin-right: .8rem; }
        a { color: inherit; }

        """
}
