//! Headless Chromium: the parsed document of a page, the console of the browser, and an accessibility check.

use crate::support::PATIENCE;
use std::process::Stdio;
use tokio::process::Command;

/// A rendered page.
pub struct Visit {
    /// The document as the browser sees it, parsed, with scripts run.
    pub document: Element,
    /// The console of the page, with violations of the content security policy.
    pub console: Vec<String>,
}

/// Opens a page. Extra flags such as `--ignore-certificate-errors` go to the browser.
pub async fn visit(url: &str, flags: &[&str]) -> Visit {
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--enable-logging=stderr", "--dump-dom"])
        .args(flags)
        .arg(url)
        .env("HOME", profile.path())
        .env_remove("http_proxy")
        .env_remove("https_proxy")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(2 * PATIENCE, command.output())
        .await
        .expect("the browser ends")
        .expect("chromium is installed (Debian and Ubuntu: apt-get install chromium)");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let console = said.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
    Visit { document: Element::parse(&String::from_utf8(output.stdout).unwrap()), console }
}

/// An element of a document.
#[derive(Debug, Default)]
pub struct Element {
    /// In small letters.
    pub name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Node>,
}

#[derive(Debug)]
enum Node {
    Element(Element),
    Text(String),
}

/// These have no end tag.
const VOID: [&str; 8] = ["meta", "br", "link", "input", "hr", "img", "base", "wbr"];

impl Element {
    /// Parses the browser's serialization, in which every value is quoted and every element closed.
    pub fn parse(html: &str) -> Self {
        let mut open = vec![Self { name: "#document".to_owned(), ..Self::default() }];
        let mut rest = html;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("</") {
                let (name, after) = after.split_once('>').unwrap();
                let element = open.pop().unwrap();
                assert_eq!(element.name, name, "elements are closed in their order");
                open.last_mut().unwrap().children.push(Node::Element(element));
                rest = after;
            } else if rest.starts_with("<!") {
                rest = rest.split_once('>').unwrap().1;
            } else if let Some(after) = rest.strip_prefix('<') {
                let (element, after) = Self::start(after);
                let raw = matches!(element.name.as_str(), "style" | "script");
                rest = after;
                if VOID.contains(&element.name.as_str()) {
                    open.last_mut().unwrap().children.push(Node::Element(element));
                } else {
                    let end = format!("</{}", element.name);
                    open.push(element);
                    if raw {
                        let (text, _) = rest.split_once(&end).unwrap();
                        open.last_mut().unwrap().children.push(Node::Text(text.to_owned()));
                        rest = &rest[text.len()..];
                    }
                }
            } else {
                let text = &rest[..rest.find('<').unwrap_or(rest.len())];
                open.last_mut().unwrap().children.push(Node::Text(unescaped(text)));
                rest = &rest[text.len()..];
            }
        }
        assert_eq!(open.len(), 1, "every element is closed");
        open.remove(0)
    }

    /// A start tag without its `<`, and what follows it.
    fn start(tag: &str) -> (Self, &str) {
        let end = tag.find([' ', '>']).unwrap();
        let mut element = Self { name: tag[..end].to_owned(), ..Self::default() };
        let mut rest = &tag[end..];
        while let Some(after) = rest.strip_prefix(' ') {
            let (name, after) = after.split_once("=\"").unwrap();
            let (value, after) = after.split_once('"').unwrap();
            element.attributes.push((name.to_owned(), unescaped(value)));
            rest = after;
        }
        (element, rest.strip_prefix('>').unwrap())
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text, with white space collapsed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.add_text(&mut text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn add_text(&self, text: &mut String) {
        for child in &self.children {
            match child {
                Node::Text(piece) => text.push_str(piece),
                Node::Element(element) => {
                    element.add_text(text);
                    text.push(' ');
                }
            }
        }
    }

    /// The child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The descendants of these names in document order; without names, all.
    pub fn all(&self, names: &[&str]) -> Vec<&Self> {
        let mut found = Vec::new();
        for element in self.elements() {
            if names.is_empty() || names.contains(&element.name.as_str()) {
                found.push(element);
            }
            found.extend(element.all(names));
        }
        found
    }

    /// The value of a term in a description list.
    pub fn fact(&self, term: &str) -> Option<String> {
        let pairs = self.all(&["div"]).into_iter().filter(|pair| pair.elements().any(|item| item.text() == term));
        pairs.into_iter().next()?.elements().find(|item| item.name == "dd").map(Self::text)
    }
}

fn unescaped(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// Violations of those rules of WCAG 2.2 that can be checked on a document.
pub fn barriers(document: &Element) -> Vec<String> {
    let mut found = Vec::new();
    let mut expect = |fine: bool, what: String| {
        if !fine {
            found.push(what);
        }
    };
    let has_text = |element: &Element| !element.text().is_empty();
    let html = document.all(&["html"]);
    expect(html.iter().any(|html| html.get("lang").is_some_and(|lang| lang.len() >= 2)), "no language".to_owned());
    expect(document.all(&["title"]).iter().any(|title| has_text(title)), "no title".to_owned());
    for meta in document.all(&["meta"]).iter().filter(|meta| meta.get("name") == Some("viewport")) {
        let content = meta.get("content").unwrap_or_default();
        let fixed = content.contains("user-scalable=no") || content.contains("maximum-scale");
        expect(!fixed, "the page cannot be enlarged".to_owned());
    }
    for landmark in ["main", "header", "nav"] {
        expect(document.all(&[landmark]).len() == 1, format!("not one <{landmark}>"));
    }
    expect(document.all(&["h1"]).len() == 1, "not one <h1>".to_owned());
    let mut level = 0;
    for heading in document.all(&["h1", "h2", "h3", "h4", "h5", "h6"]) {
        let own = usize::from(heading.name.as_bytes()[1] - b'0');
        expect(own <= level + 1, format!("<{}> `{}` below <h{level}>", heading.name, heading.text()));
        expect(has_text(heading), format!("an empty <{}>", heading.name));
        level = own;
    }
    for table in document.all(&["table"]) {
        let caption = table.elements().next().filter(|first| first.name == "caption");
        expect(caption.is_some_and(has_text), "a table without a caption".to_owned());
        for cell in table.all(&["th"]) {
            expect(cell.get("scope").is_some() && has_text(cell), format!("a heading of nothing: `{}`", cell.text()));
        }
        for row in table.all(&["tr"]) {
            expect(row.elements().any(|cell| cell.name == "th"), format!("a row without a heading: {}", row.text()));
        }
    }
    for details in document.all(&["details"]) {
        let summary = details.elements().next().filter(|first| first.name == "summary");
        expect(summary.is_some_and(has_text), "a fold without a summary".to_owned());
    }
    for link in document.all(&["a", "button"]) {
        let named = has_text(link) || link.get("aria-label").is_some_and(|label| !label.is_empty());
        expect(named, format!("a link without words to {:?}", link.get("href")));
    }
    for image in document.all(&["svg", "img"]) {
        let told = image.get("aria-hidden") == Some("true") || image.get("aria-label").or(image.get("alt")).is_some();
        expect(told, "a picture without words".to_owned());
    }
    for field in document.all(&["input", "select", "textarea"]) {
        let labelled =
            document.all(&["label"]).iter().any(|label| label.get("for").is_some_and(|id| field.get("id") == Some(id)));
        expect(
            labelled || field.get("aria-label").is_some(),
            format!("a field without a label: {:?}", field.get("name")),
        );
    }
    for element in document.all(&[]) {
        if let Some(id) = element.get("aria-labelledby") {
            let label = document.all(&[]).into_iter().find(|other| other.get("id") == Some(id));
            expect(label.is_some_and(has_text), format!("no element `{id}` to be labelled by"));
        }
        if let Some(id) = element.get("id") {
            let same = document.all(&[]).into_iter().filter(|other| other.get("id") == Some(id)).count();
            expect(same == 1, format!("`{id}` is the name of {same} elements"));
        }
        // Colour alone says nothing: what has a colour of its own has a word.
        if ["working", "waiting", "empty", "incomplete", "degraded", "failing"]
            .iter()
            .any(|state| element.get("class") == Some(state))
        {
            expect(has_text(element), "a state told by colour alone".to_owned());
        }
    }
    found
}

#[test]
fn each_barrier_is_found() {
    let page = |head: &str, body: &str| {
        barriers(&Element::parse(&format!(
            "<!DOCTYPE html><html lang=\"en\"><head><title>t</title>{head}</head><body><header><nav><a href=\"/\">x</a></nav>\
             </header><main><h1>y</h1>{body}</main></body></html>"
        )))
    };
    assert_eq!(page("", "<p>fine &lt;br&gt;<br></p>"), [""; 0]);
    for (body, barrier) in [
        ("<h3>z</h3>", "<h3> `z` below <h1>"),
        ("<h1>z</h1>", "not one <h1>"),
        ("<h2></h2>", "an empty <h2>"),
        ("<main></main>", "not one <main>"),
        ("<table><tbody><tr><th scope=\"row\">a</th></tr></tbody></table>", "a table without a caption"),
        ("<table><caption>c</caption><tbody><tr><th>a</th></tr></tbody></table>", "a heading of nothing: `a`"),
        ("<table><caption>c</caption><tbody><tr><td>a</td></tr></tbody></table>", "a row without a heading: a"),
        ("<details><p>a</p></details>", "a fold without a summary"),
        ("<a href=\"/b\"><svg aria-hidden=\"true\"></svg></a>", "a link without words to Some(\"/b\")"),
        ("<svg></svg>", "a picture without words"),
        ("<input name=\"q\">", "a field without a label: Some(\"q\")"),
        ("<p aria-labelledby=\"i\"></p>", "no element `i` to be labelled by"),
        ("<span class=\"failing\"></span>", "a state told by colour alone"),
    ] {
        assert_eq!(page("", body), [barrier], "{body}");
    }
    assert_eq!(page("<meta name=\"viewport\" content=\"user-scalable=no\">", ""), ["the page cannot be enlarged"]);
    assert_eq!(page("", "<p id=\"i\"></p><p id=\"i\"></p>"), ["`i` is the name of 2 elements"; 2]);
    assert_eq!(barriers(&Element::parse("<html></html>")).len(), 6);
}
