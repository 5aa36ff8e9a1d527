//! Reads the TwiML a server answers with, as far as a simulated call follows it.
//!
//! In: an XML text. Out: the verbs, with their addresses. Anything malformed is an error: Twilio would refuse it too.

use std::collections::BTreeMap;

use super::outcome::SimulateError;

/// One element of the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    /// The value of an attribute that is there and not empty.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The first child called `name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// What a server wants done with a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instructions(pub Element);

impl Instructions {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`SimulateError::Twiml`] when it is not a well-formed `<Response>`.
    pub fn parse(twiml: &str) -> Result<Self, SimulateError> {
        let bad = |why: &str| SimulateError::Twiml {
            why: why.to_owned(),
            twiml: twiml.to_owned(),
        };
        let document = Reader(twiml).document().map_err(|why| bad(&why))?;
        if document.name == "Response" {
            Ok(Self(document))
        } else {
            Err(bad("no <Response>"))
        }
    }

    /// The `<Stream>` that forks the audio.
    #[must_use]
    pub fn stream(&self) -> Option<&Element> {
        self.0.child("Start").and_then(|start| start.child("Stream"))
    }

    /// The names and values that go along with the stream.
    #[must_use]
    pub fn stream_parameters(&self) -> BTreeMap<String, String> {
        let parameters = self
            .stream()
            .map(|stream| stream.children.as_slice())
            .unwrap_or_default();
        parameters
            .iter()
            .filter(|child| child.name == "Parameter")
            .filter_map(|child| {
                Some((
                    child.attribute("name")?.to_owned(),
                    child.attributes.get("value")?.clone(),
                ))
            })
            .collect()
    }

    /// The `<Dial>` that connects to somebody.
    #[must_use]
    pub fn dial(&self) -> Option<&Element> {
        self.0.child("Dial")
    }

    /// The `<Record>` that takes a message.
    #[must_use]
    pub fn record(&self) -> Option<&Element> {
        self.0.child("Record")
    }
}

/// What is left to read.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Element, String> {
        self.skip_prolog()?;
        let root = self.element()?;
        self.skip_prolog()?;
        if self.0.is_empty() {
            Ok(root)
        } else {
            Err("text after the document".to_owned())
        }
    }

    /// Skips blanks, the declaration and comments.
    fn skip_prolog(&mut self) -> Result<(), String> {
        loop {
            self.0 = self.0.trim_start();
            if self.0.starts_with("<?") {
                self.until("?>")?;
            } else if self.0.starts_with("<!--") {
                self.until("-->")?;
            } else {
                return Ok(());
            }
        }
    }

    /// Takes everything up to `end`, and `end`.
    fn until(&mut self, end: &str) -> Result<&'a str, String> {
        let (before, after) = self
            .0
            .split_once(end)
            .ok_or_else(|| format!("`{end}` is missing"))?;
        self.0 = after;
        Ok(before)
    }

    fn element(&mut self) -> Result<Element, String> {
        self.0 = self.0.strip_prefix('<').ok_or("expected an element")?;
        let mut element = Element {
            name: self.name()?,
            ..Element::default()
        };
        loop {
            self.0 = self.0.trim_start();
            if let Some(rest) = self.0.strip_prefix("/>") {
                self.0 = rest;
                return Ok(element);
            }
            if let Some(rest) = self.0.strip_prefix('>') {
                self.0 = rest;
                self.content(&mut element)?;
                return Ok(element);
            }
            let name = self.name()?;
            self.until("=")?;
            let quote = if self.0.starts_with('\'') { "'" } else { "\"" };
            self.0 = self.0.strip_prefix(quote).ok_or("an attribute without quotes")?;
            let value = unescape(self.until(quote)?)?;
            element.attributes.insert(name, value);
        }
    }

    /// Reads up to the end tag of `element`.
    fn content(&mut self, element: &mut Element) -> Result<(), String> {
        loop {
            let at = self
                .0
                .find('<')
                .ok_or_else(|| format!("<{}> is not closed", element.name))?;
            element.text.push_str(&unescape(&self.0[..at])?);
            self.0 = &self.0[at..];
            if self.0.starts_with("<!--") {
                self.until("-->")?;
            } else if let Some(rest) = self.0.strip_prefix("</") {
                self.0 = rest;
                let name = self.until(">")?.trim_end();
                let is_ours = name == element.name;
                return if is_ours {
                    Ok(())
                } else {
                    Err(format!("</{name}> closes <{}>", element.name))
                };
            } else {
                element.children.push(self.element()?);
            }
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self
            .0
            .find(|c: char| !c.is_alphanumeric() && !"_-.:".contains(c))
            .unwrap_or(self.0.len());
        if end == 0 {
            return Err("expected a name".to_owned());
        }
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        Ok(name.to_owned())
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (entity, after) = after.split_once(';').ok_or("a bare &")?;
        let plain = match entity {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => numbered(entity),
        };
        out.push(plain.ok_or_else(|| format!("unknown entity &{entity};"))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of `#9` or `#x9`.
fn numbered(entity: &str) -> Option<char> {
    let number = entity.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_stream_dial_and_record() {
        let twiml = r#"<?xml version="1.0" encoding="UTF-8"?><Response><Start><Stream url="wss://h/m/a" track="both_tracks">
            <Parameter name="t" value="a&amp;b&#9;"/></Stream></Start><Say>Hello &lt;you&gt;</Say>
            <Dial action='https://h/dial?a=1' timeout="20"><Number>+1</Number></Dial><!-- x --></Response>"#;
        let instructions = Instructions::parse(twiml).expect("this is TwiML");
        assert_eq!(
            instructions.stream().and_then(|stream| stream.attribute("url")),
            Some("wss://h/m/a")
        );
        assert_eq!(
            instructions.stream_parameters().get("t").map(String::as_str),
            Some("a&b\t")
        );
        let dial = instructions.dial().expect("there is a dial");
        assert_eq!(dial.attribute("action"), Some("https://h/dial?a=1"));
        assert_eq!(
            dial.child("Number").map(|number| number.text.as_str()),
            Some("+1")
        );
        assert_eq!(instructions.record(), None);
        assert_eq!(
            instructions.0.child("Say").map(|say| say.text.as_str()),
            Some("Hello <you>")
        );
    }

    #[test]
    fn refuses_what_twilio_would_refuse() {
        for broken in [
            "",
            "<Response>",
            "<Response></Reply>",
            "<Other/>",
            "<Response>&nbsp;</Response>",
            "<Response/>x",
        ] {
            assert!(Instructions::parse(broken).is_err(), "{broken}");
        }
    }
}
