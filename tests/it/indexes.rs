//! Declared indexes through the door: by equality, then in order, page after page, each tenant's own.

use std::{collections::BTreeMap, sync::OnceLock};

use insula_local::{Edge, Options};
use insula_tenancy::Tier;
use serde_json::{Value, json};

use crate::{
    ask::{Own, code_of},
    harness::{Stack, bin_dir, json_of, options, start, tool_call},
};

/// A stack whose `mcp` has a tool over books, which have three indexes.
fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    let overrides = || BTreeMap::from([("McpFunction".to_owned(), bin_dir().join("books-fixture"))]);
    STACK.get_or_init(|| start(Options { overrides: overrides(), ..options(Edge::Rest) }))
}

/// A tenant with books.
struct Library(Own);

/// What to list.
#[derive(Debug, Clone, Copy)]
struct List<'a> {
    index: &'a str,
    equals: &'a str,
    descending: bool,
    limit: u32,
}

const fn by<'a>(index: &'a str, equals: &'a str) -> List<'a> {
    List { index, equals, descending: false, limit: 20 }
}

impl List<'_> {
    fn from(&self, cursor: Option<&str>) -> Value {
        let Self { index, equals, descending, limit } = self;
        json!({ "index": index, "equals": equals, "descending": descending, "limit": limit, "cursor": cursor })
    }
}

/// What came of a call.
struct Told {
    ids: Vec<String>,
    titles: Vec<String>,
    cursor: Option<String>,
}

impl Library {
    async fn open(slug: &str) -> Self {
        Self(Own::make(stack(), slug, Tier::Starter).await)
    }

    async fn try_call(&self, writes: &[Value], list: &Value) -> Result<Told, String> {
        let call = tool_call("test_books", json!({ "writes": writes, "list": list }));
        let reply = self.0.post(stack(), &[], &call).await;
        let told = json_of(&reply)["result"]["structuredContent"].clone();
        let Some(ids) = told["ids"].as_array() else { return Err(code_of(&reply)) };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Ok(Told {
            ids: ids.iter().map(text).collect(),
            titles: told["books"].as_array().unwrap().iter().map(|book| text(&book["title"])).collect(),
            cursor: told["next_cursor"].as_str().map(str::to_owned),
        })
    }

    async fn call(&self, writes: &[Value], list: &Value) -> Told {
        self.try_call(writes, list).await.unwrap()
    }

    async fn write(&self, writes: &[Value]) -> Vec<String> {
        self.call(writes, &Value::Null).await.ids
    }

    async fn titles(&self, list: List<'_>) -> Vec<String> {
        self.call(&[], &list.from(None)).await.titles
    }
}

fn book(author: &str, title: &str, shelf: Option<&str>) -> Value {
    json!({ "book": { "author": author, "title": title, "shelf": shelf } })
}

/// The book of this id becomes another.
fn with_id(id: &str, mut write: Value) -> Value {
    write["id"] = id.into();
    write
}

#[tokio::test]
async fn each_index_finds_by_equality_and_lists_in_its_order_both_ways() {
    let library = Library::open("index-order").await;
    let books = [
        book("ann", "b", Some("s")),
        book("bob", "a", Some("s")),
        book("ann", "c", None),
        book("ann", "a", None),
    ];
    library.write(&books).await;
    let descending = |list| List { descending: true, ..list };
    assert_eq!(library.titles(by("author", "ann")).await, ["a", "b", "c"]);
    assert_eq!(library.titles(descending(by("author", "ann"))).await, ["c", "b", "a"]);
    assert_eq!(library.titles(by("title", "a")).await, ["a", "a"]);
    assert_eq!(library.titles(by("author", "an")).await, Vec::<String>::new());
    // Those that nothing else sorts are in the order in which they were made.
    assert_eq!(library.titles(by("shelf", "s")).await, ["b", "a"]);
    assert_eq!(library.titles(descending(by("shelf", "s"))).await, ["a", "b"]);
    let unknown = library.try_call(&[], &by("publisher", "ann").from(None)).await;
    assert_eq!(unknown.err(), Some("invalid".to_owned()));
}

#[tokio::test]
async fn a_changed_value_moves_a_record_and_its_end_takes_it_out() {
    let library = Library::open("index-move").await;
    let id = &library.write(&[book("ann", "a", Some("s")), book("ann", "b", Some("s"))]).await[0];
    library.write(&[with_id(id, book("bob", "z", Some("t")))]).await;
    let found = async |lists: [List<'static>; 4]| {
        let mut found = Vec::new();
        for list in lists {
            found.push(library.titles(list).await.concat());
        }
        found
    };
    let old = [by("author", "ann"), by("title", "a"), by("shelf", "s"), by("title", "b")];
    let new = [by("author", "bob"), by("title", "z"), by("shelf", "t"), by("title", "b")];
    assert_eq!(found(old).await, ["b", "", "b", "b"]);
    assert_eq!(found(new).await, ["z", "z", "z", "b"]);
    // Without a shelf it stands on none.
    library.write(&[with_id(id, book("bob", "z", None))]).await;
    assert_eq!(found(new).await, ["z", "z", "", "b"]);
    library.write(&[json!({ "id": id })]).await;
    assert_eq!(found(new).await, ["", "", "", "b"]);
    assert_eq!(found(old).await, ["b", "", "b", "b"]);
}

#[tokio::test]
async fn pages_of_a_set_that_changes_skip_and_repeat_nothing_that_stays() {
    for descending in [false, true] {
        let library = Library::open(&format!("index-pages-{descending}")).await;
        let made = ["b", "d", "f", "h", "j"].map(|title| book("ann", title, None));
        let ids = library.write(&made).await;
        let list = List { descending, limit: 2, ..by("author", "ann") };
        let first = library.call(&[], &list.from(None)).await;
        // One before the place and one behind it, whichever way; one that was to come ends, and one goes away.
        let news = [book("ann", "c", None), book("ann", "i", None), json!({ "id": ids[2] })];
        library.write(&news).await;
        let gone = if descending { &ids[0] } else { &ids[4] };
        library.write(&[with_id(gone, book("bob", "x", None))]).await;
        let second = library.call(&[], &list.from(first.cursor.as_deref())).await;
        let rest = match &second.cursor {
            Some(cursor) => library.call(&[], &list.from(Some(cursor))).await.titles,
            None => Vec::new(),
        };
        let seen = [first.titles, second.titles, rest].concat();
        let expected: &[&str] = if descending { &["j", "h", "d", "c"] } else { &["b", "d", "h", "i"] };
        assert_eq!(seen, expected, "{descending}");
    }
}

#[tokio::test]
async fn a_call_sees_what_it_has_staged_itself_where_it_will_stand() {
    let library = Library::open("index-staged").await;
    let ids = library.write(&[book("ann", "b", None), book("ann", "d", None), book("ann", "f", None)]).await;
    let writes = [
        book("ann", "c", None),
        with_id(&ids[0], book("bob", "b", None)),
        with_id(&ids[1], book("ann", "g", None)),
        json!({ "id": ids[2] }),
    ];
    let told = library.call(&writes, &by("author", "ann").from(None)).await;
    assert_eq!(told.titles, ["c", "g"]);
    assert_eq!(library.titles(by("author", "ann")).await, ["c", "g"]);
    // What is staged beyond the end of a page is on the page where it belongs.
    let list = List { limit: 1, ..by("author", "ann") };
    let told = library.call(&[book("ann", "e", None)], &list.from(None)).await;
    assert_eq!(told.titles, ["c"]);
    let next = library.call(&[], &list.from(told.cursor.as_deref())).await;
    assert_eq!(next.titles, ["e"]);
    // What is refused was never there.
    let refused = library.try_call(&[book("ann", "a", None), book("", "a", None)], &Value::Null).await;
    assert_eq!(refused.err(), Some("invalid".to_owned()));
    assert_eq!(library.titles(by("author", "ann")).await, ["c", "e", "g"]);
}

#[tokio::test]
async fn the_same_values_of_another_tenant_are_not_there() {
    let (acme, globex) = (Library::open("index-acme").await, Library::open("index-globex").await);
    acme.write(&[book("ann", "ours", Some("s")), book("ann", "same", None)]).await;
    let id = &globex.write(&[book("ann", "theirs", Some("s")), book("ann", "same", None)]).await[0];
    for (index, equals, own, other) in [
        ("author", "ann", vec!["ours", "same"], vec!["same", "theirs"]),
        ("title", "same", vec!["same"], vec!["same"]),
        ("shelf", "s", vec!["ours"], vec!["theirs"]),
    ] {
        assert_eq!(acme.titles(by(index, equals)).await, own, "{index}");
        assert_eq!(globex.titles(by(index, equals)).await, other, "{index}");
    }
    let foreign = with_id(id, book("ann", "stolen", None));
    assert_eq!(
        acme.try_call(std::slice::from_ref(&foreign), &Value::Null).await.err(),
        Some("not_found".to_owned())
    );
    assert!(globex.try_call(&[foreign], &Value::Null).await.is_ok());
    assert_eq!(acme.titles(by("author", "ann")).await, ["ours", "same"]);
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_listing_alone() {
    let (acme, globex) = (Library::open("index-seal").await, Library::open("index-seal-other").await);
    for library in [&acme, &globex] {
        library.write(&["a", "b", "c"].map(|title| book("ann", title, Some("ann")))).await;
        library.write(&["a", "b", "c"].map(|title| book("bob", title, Some("bob")))).await;
        library.write(&["x", "y", "z"].map(|author| book(author, "ann", None))).await;
    }
    let list = List { limit: 1, ..by("author", "ann") };
    let cursor = acme.call(&[], &list.from(None)).await.cursor.unwrap();
    for (library, elsewhere, what) in [
        (&acme, List { equals: "bob", ..list }, "another value"),
        (&acme, List { index: "title", ..list }, "another index"),
        (&acme, List { index: "shelf", ..list }, "another index with the same records"),
        (&acme, List { descending: true, ..list }, "the other direction"),
        (&globex, list, "another tenant"),
    ] {
        let refused = library.try_call(&[], &elsewhere.from(Some(&cursor))).await;
        assert_eq!(refused.err(), Some("invalid".to_owned()), "{what}");
        // The twin: that listing's own cursor.
        let own = library.call(&[], &elsewhere.from(None)).await.cursor.unwrap();
        assert_eq!(library.call(&[], &elsewhere.from(Some(&own))).await.titles.len(), 1, "{what}");
    }
    let next = acme.call(&[], &List { limit: 5, ..list }.from(Some(&cursor))).await;
    assert_eq!(next.titles, ["b", "c"], "another size of a page is the same listing");
}

#[tokio::test]
async fn any_text_within_its_limits_is_a_value_and_is_found_as_it_is() {
    let library = Library::open("index-texts").await;
    let long = "ü".repeat(256);
    let texts = [
        "#",
        "a#b",
        "a",
        "a#",
        "TENANT#",
        " ",
        "é",
        "e\u{301}",
        "用户",
        "😀",
        "\u{ff5e}",
        "\"\\\n",
        "A",
        long.as_str(),
    ];
    library.write(&texts.map(|text| book(text, "t", Some(text)))).await;
    for text in texts {
        assert_eq!(library.titles(by("author", text)).await, ["t"], "{text:?}");
        assert_eq!(library.titles(by("shelf", text)).await, ["t"], "{text:?}");
    }
    // Texts sort by their bytes in UTF-8, as they do in Rust.
    let mut sorted = ["#", " ", "é", "😀", "\u{ff5e}", "a", "a a", "a\u{1}", "B", long.as_str()];
    library.write(&sorted.map(|title| book("sorted", title, None))).await;
    sorted.sort_unstable();
    assert_eq!(library.titles(by("author", "sorted")).await, sorted);
    let mut paged = Vec::new();
    let list = List { limit: 3, ..by("author", "sorted") };
    let mut page = library.call(&[], &list.from(None)).await;
    while let Some(cursor) = page.cursor.take() {
        paged.append(&mut page.titles);
        page = library.call(&[], &list.from(Some(&cursor))).await;
    }
    paged.append(&mut page.titles);
    assert_eq!(paged, sorted);
}

#[tokio::test]
async fn a_text_beyond_the_limits_is_refused_and_one_at_the_limit_is_taken() {
    let library = Library::open("index-limits").await;
    let (longest, too_long) = ("x".repeat(512), "x".repeat(513));
    let umlauts = "ü".repeat(257);
    library.write(&[book(&longest, &longest, Some(&longest))]).await;
    for wrong in ["", &too_long, &umlauts] {
        for refused in [book(wrong, "t", None), book("a", wrong, None), book("a", "t", Some(wrong))] {
            let code = library.try_call(std::slice::from_ref(&refused), &Value::Null).await.err();
            assert_eq!(code, Some("invalid".to_owned()), "{refused}");
        }
        let code = library.try_call(&[], &by("author", wrong).from(None)).await.err();
        assert_eq!(code, Some("invalid".to_owned()), "{wrong}");
    }
    for index in ["author", "title", "shelf"] {
        assert_eq!(library.titles(by(index, &longest)).await, [longest.as_str()], "{index}");
    }
}
