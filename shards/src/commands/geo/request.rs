//! What a search asks for.
//!
//! Owns [`Request`]: the arguments of GEOSEARCH, GEORADIUS and their kin. Called by `search.rs`.

use tessera_core::geo::{Place, Shape, place_of_score};
use tessera_core::number::parse_double;

use super::{place, unit_m};
use crate::command::Cx;
use crate::commands::args::{SYNTAX, integer, is};
use crate::commands::zsets::held;

/// How a command's name settles its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
    /// GEORADIUS; with or without a key to store to.
    Around { stores: bool },
    /// GEORADIUSBYMEMBER.
    AroundMember { stores: bool },
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }

    fn stores(self) -> bool {
        matches!(
            self,
            Self::Around { stores: true } | Self::AroundMember { stores: true }
        )
    }
}

/// In which order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As found.
    None,
    /// The nearest first.
    Asc,
    /// The farthest first.
    Desc,
}

/// What a search asks for.
pub(super) struct Request<'a> {
    /// Whether the key exists; without it, members have no places.
    exists: bool,
    key: &'a [u8],
    from: From,
    /// With its unit in metres.
    shape: Option<(Shape, f64)>,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_place: bool,
    pub(super) any: bool,
    pub(super) order: Order,
    /// 0: no limit.
    pub(super) count: usize,
    pub(super) to: Option<&'a [u8]>,
    pub(super) stores_distances: bool,
}

/// The centre, as far as it is known.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Nowhere,
    Member(Option<Place>),
    Place(Place),
}

impl<'a> Request<'a> {
    /// Reads all arguments; writes the error for what is none. The key is known to hold a sorted set if it exists.
    pub(super) fn parse(
        cx: &mut Cx<'_>,
        args: &[&'a [u8]],
        form: Form,
        exists: bool,
    ) -> Option<Self> {
        let is_store = form == Form::SearchStore;
        let mut request = Request {
            exists,
            key: args[1 + usize::from(is_store)],
            from: From::Nowhere,
            shape: None,
            with_distance: false,
            with_hash: false,
            with_place: false,
            any: false,
            order: Order::None,
            count: 0,
            to: is_store.then_some(args[1]),
            stores_distances: false,
        };
        let options = match form {
            Form::Search => &args[2..],
            Form::SearchStore => &args[3..],
            Form::Around { .. } => {
                request.from = From::Place(place(cx, args[2], args[3])?);
                request.shape = Some(circle(cx, args[4], args[5])?);
                &args[6..]
            }
            Form::AroundMember { .. } => {
                request.set_member(cx, args[2])?;
                if exists {
                    request.shape = Some(circle(cx, args[3], args[4])?);
                }
                &args[5..]
            }
        };
        request.parse_options(cx, options, form)?;
        request.check(cx, args[0], form).then_some(request)
    }

    fn parse_options(&mut self, cx: &mut Cx<'_>, mut args: &[&'a [u8]], form: Form) -> Option<()> {
        while let [word, rest @ ..] = args {
            args = rest;
            match word {
                _ if is(word, "WITHDIST") => self.with_distance = true,
                _ if is(word, "WITHHASH") => self.with_hash = true,
                _ if is(word, "WITHCOORD") => self.with_place = true,
                _ if is(word, "ANY") => self.any = true,
                _ if is(word, "ASC") => self.order = Order::Asc,
                _ if is(word, "DESC") => self.order = Order::Desc,
                _ if is(word, "COUNT") && !rest.is_empty() => {
                    let count = integer(cx, rest[0])?;
                    if count <= 0 {
                        cx.error("ERR COUNT must be > 0");
                        return None;
                    }
                    (self.count, args) = (count as usize, &rest[1..]);
                }
                _ if form == Form::SearchStore && is(word, "STOREDIST") => {
                    self.stores_distances = true;
                }
                _ => args = self.parse_long_option(cx, word, rest, form)?,
            }
        }
        Some(())
    }

    /// An option with arguments; returns what comes behind them.
    fn parse_long_option<'b>(
        &mut self,
        cx: &mut Cx<'_>,
        word: &[u8],
        rest: &'b [&'a [u8]],
        form: Form,
    ) -> Option<&'b [&'a [u8]]> {
        let is_member = matches!(self.from, From::Member(_));
        let is_place = matches!(self.from, From::Place(_));
        let is_circle = matches!(self.shape, Some((Shape::Circle { .. }, _)));
        let is_box = matches!(self.shape, Some((Shape::Box { .. }, _)));
        let rest = match rest {
            [key, rest @ ..] if form.stores() && is(word, "STORE") => {
                (self.to, self.stores_distances) = (Some(*key), false);
                rest
            }
            [key, rest @ ..] if form.stores() && is(word, "STOREDIST") => {
                (self.to, self.stores_distances) = (Some(*key), true);
                rest
            }
            [member, rest @ ..] if form.is_search() && !is_place && is(word, "FROMMEMBER") => {
                self.set_member(cx, member)?;
                rest
            }
            [x, y, rest @ ..] if form.is_search() && !is_member && is(word, "FROMLONLAT") => {
                self.from = From::Place(place(cx, x, y)?);
                rest
            }
            [radius, unit, rest @ ..] if form.is_search() && !is_box && is(word, "BYRADIUS") => {
                self.shape = Some(circle(cx, radius, unit)?);
                rest
            }
            [width, height, unit, rest @ ..]
                if form.is_search() && !is_circle && is(word, "BYBOX") =>
            {
                self.shape = Some(rectangle(cx, width, height, unit)?);
                rest
            }
            _ => {
                cx.error(SYNTAX);
                return None;
            }
        };
        Some(rest)
    }

    fn set_member(&mut self, cx: &mut Cx<'_>, member: &[u8]) -> Option<()> {
        let zset = held(cx.shard, cx.db, self.key).filter(|_| self.exists);
        let score = zset.and_then(|zset| zset.score(member));
        if self.exists && score.is_none() {
            cx.error("ERR could not decode requested zset member");
            return None;
        }
        self.from = From::Member(score.map(place_of_score));
        Some(())
    }

    /// Whether the options go together.
    fn check(&self, cx: &mut Cx<'_>, command: &[u8], form: Form) -> bool {
        let has_details = self.with_distance || self.with_hash || self.with_place;
        let command = String::from_utf8_lossy(command);
        if self.to.is_some() && has_details {
            let what = if form == Form::SearchStore {
                "GEOSEARCHSTORE"
            } else {
                "STORE option in GEORADIUS"
            };
            cx.error(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            ));
        } else if form.is_search() && self.from == From::Nowhere {
            cx.error(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {command}"
            ));
        } else if form.is_search() && self.shape.is_none() {
            cx.error(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {command}"
            ));
        } else if self.any && self.count == 0 {
            cx.error("ERR the ANY argument requires COUNT argument");
        } else {
            return true;
        }
        false
    }

    /// The centre and the shape, if the key exists.
    pub(super) fn search(&self) -> Option<tessera_core::geo::Search> {
        let (From::Place(centre) | From::Member(Some(centre))) = self.from else {
            return None;
        };
        let (shape, unit_m) = self.shape.filter(|_| self.exists)?;
        Some(tessera_core::geo::Search {
            centre,
            shape,
            unit_m,
        })
    }
}

/// A length; writes the error for what is no number.
fn length(cx: &mut Cx<'_>, text: &[u8], what: &str) -> Option<f64> {
    let length = parse_double(text);
    if length.is_none() {
        cx.error(format!("ERR need numeric {what}"));
    }
    length
}

fn circle(cx: &mut Cx<'_>, radius: &[u8], unit: &[u8]) -> Option<(Shape, f64)> {
    let radius = length(cx, radius, "radius")?;
    if radius < 0.0 {
        cx.error("ERR radius cannot be negative");
        return None;
    }
    Some((Shape::Circle { radius }, unit_m(cx, unit)?))
}

fn rectangle(cx: &mut Cx<'_>, width: &[u8], height: &[u8], unit: &[u8]) -> Option<(Shape, f64)> {
    let width = length(cx, width, "width")?;
    let height = length(cx, height, "height")?;
    if width < 0.0 || height < 0.0 {
        cx.error("ERR height or width cannot be negative");
        return None;
    }
    Some((Shape::Box { width, height }, unit_m(cx, unit)?))
}
