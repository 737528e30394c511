//! A search from its query to its hits, over the index as it is kept and the records themselves.

use std::collections::{BTreeSet, HashMap, HashSet};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::{
    Hit,
    entry::{News, RecordName},
    find::{Candidate, find},
    rows::Rows,
    store::{Reads, read_manifest, read_news, with_rows},
    words::Asked,
};
use crate::{
    Problem,
    key::{Family, Shelf},
    scope::{BATCH_MAX, Room},
};

/// Turns in which records that have changed since the index was read are made up for by the next best.
const TURNS_MAX: usize = 8;

/// At most so many records, the best first.
pub(crate) async fn search(room: &Room, query: &str, limit: usize) -> Result<Vec<Hit>, Problem> {
    let asked = Asked::read(query)?;
    for reads in [Reads::Cheap, Reads::Latest, Reads::Latest] {
        if let Some(hits) = attempt(room, &asked, limit, reads).await? {
            return Ok(hits);
        }
    }
    Err(Problem::Unavailable { doing: "searching", source: None })
}

/// `None` where a merge has removed what was about to be read.
async fn attempt(
    room: &Room,
    asked: &Asked,
    limit: usize,
    reads: Reads,
) -> Result<Option<Vec<Hit>>, Problem> {
    let index = room.index();
    // In this order: what a merge takes from the news meanwhile is seen twice, and never not at all.
    let news_rows = read_news(&index, usize::MAX).await?;
    let manifest = read_manifest(&index).await?;
    let mut news = News::default();
    for row in &news_rows {
        news.add(&row.body)?;
    }
    let mut rows = Rows::default();
    let mut hits = Vec::new();
    let mut looked_at = 0_usize;
    for _ in 0..TURNS_MAX {
        let missing = limit.saturating_sub(hits.len());
        let count = looked_at.saturating_add(missing.max(looked_at));
        let work = |rows: &Rows| find(asked, &manifest, &news, rows, count);
        let Some(mut found) = with_rows(&index, &mut rows, reads, work).await? else { return Ok(None) };
        let last = found.len() < count;
        let new = found.split_off(looked_at.min(found.len()));
        looked_at = looked_at.saturating_add(new.len());
        hits.extend(holding(room, new).await?);
        if last || hits.len() >= limit {
            break;
        }
    }
    hits.truncate(limit);
    Ok(Some(hits))
}

/// The candidates that still hold: the store is asked for each of them, whatever the index says.
async fn holding(room: &Room, candidates: Vec<Candidate>) -> Result<Vec<Hit>, Problem> {
    let mut holding: HashSet<(String, String, u64)> = HashSet::new();
    let names: BTreeSet<&RecordName> = candidates.iter().map(|candidate| &candidate.name).collect();
    for batch in names.into_iter().collect::<Vec<_>>().chunks(BATCH_MAX) {
        let keys = batch.iter().map(|name| key(room, name)).collect();
        let how = KeysAndAttributes::builder().consistent_read(true).projection_expression("pk, sk, version");
        for item in room.read_batch(how, keys).await? {
            let text = |name: &str| item.get(name)?.as_s().ok().cloned();
            let version = item.get("version").and_then(|version| version.as_n().ok()?.parse().ok());
            holding
                .extend(text("pk").zip(text("sk")).zip(version).map(|((pk, sk), version)| (pk, sk, version)));
        }
    }
    let staged = room.staged();
    let holds = |Candidate { name, version, .. }: &Candidate| {
        let shelf = Shelf::Items(name.collection.clone());
        let place = (Family::Shelf(&shelf).of(&room.tenant), name.id.to_string(), *version);
        holding.contains(&place) && staged.find(&shelf, &name.id).is_none()
    };
    let hits = candidates.into_iter().filter(holds);
    Ok(hits
        .map(|Candidate { name: RecordName { collection, id }, title, .. }| Hit { collection, id, title })
        .collect())
}

fn key(room: &Room, name: &RecordName) -> HashMap<String, AttributeValue> {
    let shelf = Shelf::Items(name.collection.clone());
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(Family::Shelf(&shelf).of(&room.tenant))),
        ("sk".to_owned(), AttributeValue::S(name.id.to_string())),
    ])
}
