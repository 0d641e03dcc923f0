//! How evolutions are shown, and how an answer says that it is a part (CIM 009, clause 6.3.10).

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use musubi_broker::Seal;
use musubi_context::{
    AggregatedAttribute, Context, EvolutionReader, EvolutionRenderer, LanguageText, PeriodValue,
};
use musubi_model::{InstanceNumber, Json, Limits, Node, Recorded, Timestamp};
use musubi_query::{Cut, EvolutionItem, EvolutionPage, TimeRelation};
use musubi_view::{Languages, Projection, ViewError};

use super::parameters::{Form, Times};
use crate::error::Error;
use crate::request::accept::Media;
use crate::view::respond;

/// Says that what is answered is not all that was (CIM 009, clause 6.3.17).
pub(crate) const WARNING: HeaderName = HeaderName::from_static("ngsild-warning");

/// How the reader wants to see evolutions.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) media: Media,
    pub(crate) context: Context,
    pub(crate) form: Form,
    /// Whether `createdAt` and `modifiedAt` are shown.
    pub(crate) system: bool,
    pub(crate) projection: Projection,
    pub(crate) languages: Option<Languages>,
    pub(crate) times: Times,
    /// The longest answer, in bytes.
    pub(crate) longest: usize,
}

impl View {
    /// The answer that shows one evolution; none if nothing of it is shown.
    pub(crate) fn one(
        &self,
        page: &EvolutionPage,
        seal: &Seal,
        headers: HeaderMap,
    ) -> Result<Option<Response>, Error> {
        let mut out = Vec::with_capacity(4096);
        let count = self.write(&mut out, page, seal)?;
        if count == 0 {
            return Ok(None);
        }
        Ok(Some(self.respond(out, page, headers)))
    }

    /// The answer that shows a page of evolutions, those without anything to show left out.
    pub(crate) fn page(
        &self,
        page: &EvolutionPage,
        seal: &Seal,
        headers: HeaderMap,
    ) -> Result<Response, Error> {
        let mut out = Vec::with_capacity(64 + page.items.len() * 1024);
        out.push(b'[');
        self.write(&mut out, page, seal)?;
        out.push(b']');
        Ok(self.respond(out, page, headers))
    }

    /// Writes the evolutions and says how many.
    fn write(&self, out: &mut Vec<u8>, page: &EvolutionPage, seal: &Seal) -> Result<usize, Error> {
        let reader = Reader { view: self, seal };
        let in_body = self.media == Media::LdJson;
        let mut renderer =
            EvolutionRenderer::new(out, &self.context, &reader, self.system, in_body)
                .up_to(self.longest);
        for item in &page.items {
            match self.form {
                Form::Instances => renderer.instances(&item.evolution),
                Form::Values => renderer.values(&item.evolution),
                Form::Aggregates => renderer.aggregates(&item.evolution, aggregates(item)),
            }
            if renderer.written() > self.longest {
                return Err(ViewError::too_long().into());
            }
        }
        Ok(renderer.count())
    }

    fn respond(&self, body: Vec<u8>, page: &EvolutionPage, mut headers: HeaderMap) -> Response {
        if let Some(range) = page.cut.and_then(|cut| self.content_range(cut)) {
            headers.insert(header::CONTENT_RANGE, range);
        }
        let dropped = page.rolled_up_before.and_then(|before| dropped(before, self.form));
        for warning in dropped.into_iter().chain(page.incomplete_before.and_then(incomplete)) {
            headers.append(WARNING, warning);
        }
        let link = (self.media != Media::LdJson).then_some(&self.context);
        let mut response = respond(body, self.media, link, headers);
        if page.cut.is_some() {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }

    /// From where to where the instances go that are in the answer: backwards from the end of what
    /// was asked for with `lastN`, and else forwards from its beginning.
    fn content_range(&self, cut: Cut) -> Option<HeaderValue> {
        let relation = self.times.relation;
        let (start, end, size) = if let Some(last) = self.times.last {
            let start = match relation {
                Some(TimeRelation::Before(end) | TimeRelation::Between(_, end)) => end,
                Some(TimeRelation::After(_)) | None => cut.last,
            };
            (start, cut.first, last.to_string())
        } else {
            let start = match relation {
                Some(TimeRelation::After(start) | TimeRelation::Between(start, _)) => start,
                Some(TimeRelation::Before(_)) | None => cut.first,
            };
            (start, cut.last, "*".to_owned())
        };
        HeaderValue::try_from(format!("date-time {start}-{end}/{size}")).ok()
    }
}

/// What the values of an item come to.
fn aggregates(item: &EvolutionItem) -> impl Iterator<Item = AggregatedAttribute<'_>> {
    item.aggregates.iter().map(|attribute| AggregatedAttribute {
        name: &attribute.name,
        is_relationship: attribute.is_relationship,
        methods: attribute
            .methods
            .iter()
            .map(|(method, periods)| {
                let periods = periods.iter().map(|one| PeriodValue {
                    value: &one.value,
                    start: one.start,
                    end: one.end,
                });
                (method.as_str(), periods.collect())
            })
            .collect(),
    })
}

/// An answer does not say whether there are roll-ups: some of its series may have them, and others not.
fn dropped(before: Timestamp, form: Form) -> Option<HeaderValue> {
    let counted = match form {
        Form::Aggregates => ", and count only as far as they were rolled up",
        Form::Instances | Form::Values => "",
    };
    let text = format!("values of before {before} are not kept any more{counted}");
    HeaderValue::try_from(format!("199 musubi \"{text}\"")).ok()
}

fn incomplete(before: Timestamp) -> Option<HeaderValue> {
    let text = format!("the history is incomplete: changes of before {before} are missing");
    HeaderValue::try_from(format!("199 musubi \"{text}\"")).ok()
}

/// The reader, with what instances are called in their tenant.
struct Reader<'a> {
    view: &'a View,
    seal: &'a Seal,
}

impl EvolutionReader for Reader<'_> {
    fn shows(&self, member: &str) -> bool {
        self.view.projection.shows_member(member)
    }

    fn instance_id(&self, number: InstanceNumber) -> String {
        self.seal.instance_id(number)
    }

    fn time(&self, recorded: &Recorded) -> Timestamp {
        self.view.times.property.moment(recorded)
    }

    fn text(&self, map: &Json) -> Option<LanguageText> {
        let languages = self.view.languages.as_ref()?;
        let limits = Limits { depth: Limits::MAX_DEPTH };
        let node = Node::parse(map.as_str(), limits).ok();
        let chosen = node.as_ref().and_then(|map| languages.choose(map));
        Some(LanguageText {
            tag: chosen.map(|(tag, _)| tag.to_owned()),
            text: chosen
                .and_then(|(_, text)| Json::parse(text.raw).ok())
                .unwrap_or_else(|| Json::from(&serde_json::Value::Null)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_before_when_values_are_gone_and_promises_no_roll_ups() {
        let warning = dropped(Timestamp::EPOCH, Form::Instances).unwrap();
        let gone = "199 musubi \"values of before 1970-01-01T00:00:00Z are not kept any more";
        assert_eq!(warning, format!("{gone}\""));
        let warning = dropped(Timestamp::EPOCH, Form::Aggregates).unwrap();
        assert_eq!(warning, format!("{gone}, and count only as far as they were rolled up\""));
    }
}
