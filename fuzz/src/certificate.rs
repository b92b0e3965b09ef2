//! Mutates certificates: changes a field, adapts the lengths around it, and signs the certificate again by a CA of the case
//! tables. Otherwise the signature check would reject nearly every mutation.

use base64::{Engine, prelude::BASE64_STANDARD};
use p256::ecdsa::{DerSignature, SigningKey, signature::Signer};
use pem::Pem;

use crate::random::{Random, mutate_bytes};

/// An element of DER.
#[derive(Clone)]
enum Element {
    /// Its tag and its bytes.
    Primitive(u8, Vec<u8>),
    /// Its tag and the elements in it.
    Constructed(u8, Vec<Element>),
}

const CONSTRUCTED: u8 = 0x20;
const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;

/// The CAs of the case tables whose keys sign the mutated certificates.
const SIGNERS: [&str; 4] = ["intermediate", "root", "self-signed", "leaf"];

/// A bundle with one of its certificates changed; `None` if it contains none.
pub fn mutate(bundle: &str, random: &mut Random) -> Option<String> {
    let mut blocks = pem::parse_many(bundle).ok()?;
    let index = random.below(blocks.len());
    match random.below(12) {
        0 => {
            let block = random.pick(&blocks)?.clone();
            blocks.insert(index, block);
        }
        1 => {
            blocks.get(index)?;
            blocks.remove(index);
        }
        2 => {
            let other = random.below(blocks.len());
            blocks.get(index)?;
            blocks.swap(index, other);
        }
        _ => {
            let block = blocks.get(index)?;
            blocks[index] = Pem::new(block.tag(), changed(block.contents(), random)?);
        }
    }
    Some(pem::encode_many(&blocks))
}

fn changed(der: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let Ok([mut certificate]) = <[Element; 1]>::try_from(Element::read_all(der)?) else { return None };
    for _ in 0..=random.below(3) {
        let other = certificate.nth(&mut random.below(certificate.count()))?.clone();
        let place = certificate.nth(&mut random.below(certificate.count()))?;
        match (random.below(6), place) {
            (0, place) => *place = other,
            (1, Element::Constructed(_, items)) if !items.is_empty() => {
                items.remove(random.below(items.len()));
            }
            (2, Element::Constructed(_, items)) => items.insert(random.below(items.len() + 1), other),
            (3, Element::Constructed(_, items)) if !items.is_empty() => {
                let (one, two) = (random.below(items.len()), random.below(items.len()));
                items.swap(one, two);
            }
            (4, Element::Constructed(tag, _) | Element::Primitive(tag, _)) => {
                *tag = mutate_bytes(&[*tag]).first().copied()?
            }
            (_, Element::Primitive(_, bytes)) => *bytes = mutate_bytes(bytes),
            (_, Element::Constructed(_, items)) => items.push(other),
        }
    }
    if let Element::Constructed(_, parts) = &mut certificate
        && random.below(4) > 0
    {
        sign(parts, random);
    }
    let mut der = Vec::new();
    certificate.write(&mut der);
    Some(der)
}

/// Signs a certificate of three parts, the last of which is the signature.
fn sign(parts: &mut [Element], random: &mut Random) {
    let [signed, _, signature] = parts else { return };
    let mut message = Vec::new();
    signed.write(&mut message);
    let signer = random.pick(&SIGNERS).and_then(|name| SigningKey::from_slice(&seed(name)).ok());
    let Some(signer) = signer else { return };
    let made: DerSignature = signer.sign(&message);
    *signature = Element::Primitive(BIT_STRING, [&[0], made.as_bytes()].concat());
}

/// The seed for the key of a certificate of the case tables, as in `certificates.rs` of `e2e-tests/`.
fn seed(name: &str) -> [u8; 32] {
    let mut seed = [1u8; 32];
    name.bytes().cycle().take(32 * name.len()).enumerate().for_each(|(index, byte)| {
        let place = index % 32;
        seed[place] = seed[place].wrapping_mul(31).wrapping_add(byte);
    });
    seed[0] &= 0x7f;
    seed
}

impl Element {
    /// Reads every element of the bytes; `None` if they are not DER.
    fn read_all(mut bytes: &[u8]) -> Option<Vec<Self>> {
        let mut elements = Vec::new();
        while let [tag, rest @ ..] = bytes {
            let (length, rest) = length(rest)?;
            let (content, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            // An extension's value is DER in an octet string.
            let is_nested = tag & CONSTRUCTED != 0 || *tag == OCTET_STRING && !content.is_empty();
            elements.push(match Self::read_all(content).filter(|_| is_nested) {
                Some(items) => Self::Constructed(*tag, items),
                None => Self::Primitive(*tag, content.to_vec()),
            });
        }
        Some(elements)
    }

    fn write(&self, der: &mut Vec<u8>) {
        let mut own = Vec::new();
        let (tag, content) = match self {
            Self::Primitive(tag, bytes) => (tag, bytes),
            Self::Constructed(tag, items) => {
                items.iter().for_each(|item| item.write(&mut own));
                (tag, &own)
            }
        };
        der.push(*tag);
        let length = content.len().to_be_bytes();
        let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
        match significant {
            [] => der.push(0),
            [short] if *short < 0x80 => der.push(*short),
            long => {
                der.push(0x80 | long.len() as u8);
                der.extend(long);
            }
        }
        der.extend(content);
    }

    fn count(&self) -> usize {
        match self {
            Self::Primitive(..) => 1,
            Self::Constructed(_, items) => 1 + items.iter().map(Self::count).sum::<usize>(),
        }
    }

    fn nth(&mut self, countdown: &mut usize) -> Option<&mut Self> {
        if *countdown == 0 {
            return Some(self);
        }
        *countdown -= 1;
        match self {
            Self::Primitive(..) => None,
            Self::Constructed(_, items) => items.iter_mut().find_map(|item| item.nth(countdown)),
        }
    }
}

/// A length, and the bytes after it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [short, rest @ ..] if *short < 0x80 => Some((usize::from(*short), rest)),
        [long @ 0x81..=0x84, rest @ ..] => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            Some((length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest))
        }
        _ => None,
    }
}

/// A bundle in base64, as the API server stores it.
pub fn in_base64(bundle: &str) -> String {
    BASE64_STANDARD.encode(bundle)
}
