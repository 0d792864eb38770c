//! What an image is made of: a configuration and layers, some of them shared.
//!
//! Nothing is stored: everything follows from the number of the repository and the number of the image within it. Base
//! layers are shared between repositories, upper layers between neighbouring images of one repository, so the bytes
//! that are really stored are fewer than the sum of the sizes.

use sha2::{Digest, Sha256};

/// Base images in the whole world.
const BASES: u64 = 24;
/// Layers of its own that an image has above its base.
const OWN_LAYERS: u64 = 3;

/// One blob: a configuration or a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    seed: u64,
    pub(super) bytes: u64,
}

impl Blob {
    /// The digest without its `sha256:` prefix. It only looks like one: there is no content to hash.
    pub(super) fn digest(&self) -> String {
        let mut bytes = [0; 32];
        for (index, part) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
            part.copy_from_slice(&mix(self.seed ^ mix(index + 1)).to_be_bytes());
        }
        hex::encode(bytes)
    }
}

/// What a tag can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image of one architecture.
    Image,
    /// A list of the two images before it.
    Index,
    /// An image by the old schema, which tells no sizes.
    Schema1,
    /// An image whose manifest the service does not tell.
    Untold,
}

/// What the image of this number is. Most repositories have images of one kind only.
pub(super) fn kind(repository: u32, number: u32) -> Kind {
    match mix(u64::from(repository) ^ 0x6b1d) % 40 {
        0..6 if number % 5 == 4 => Kind::Index,
        6 if number % 7 == 6 => Kind::Schema1,
        7 if number % 9 == 8 => Kind::Untold,
        _ => Kind::Image,
    }
}

/// One image.
#[derive(Clone, Debug)]
pub(super) struct Image {
    kind: Kind,
    repository: u32,
    number: u32,
    config: Blob,
    layers: Vec<Blob>,
}

impl Image {
    pub(super) fn new(repository: u32, number: u32) -> Self {
        let mut layers = Vec::new();
        each_layer(repository, number, |blob| layers.push(blob));
        Self { kind: kind(repository, number), repository, number, config: config(repository, number), layers }
    }

    /// What it is.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Digest of the configuration without its prefix; an index has none.
    pub(super) fn id(&self) -> String {
        if self.kind == Kind::Index { String::new() } else { self.config.digest() }
    }

    /// Size of the image as the service counts it: configuration and layers, without the manifest. Of an index, those of
    /// its images together, which is a guess.
    pub(super) fn bytes(&self) -> u64 {
        bytes(self.repository, self.number)
    }

    /// Digest of the manifest without its prefix.
    pub(super) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.document()))
    }

    /// The manifest as the service tells it.
    pub(super) fn manifest(&self) -> String {
        if self.kind == Kind::Untold { String::new() } else { self.document() }
    }

    fn document(&self) -> String {
        match self.kind {
            Kind::Index => self.index(),
            Kind::Schema1 => self.schema_1(),
            Kind::Image | Kind::Untold => self.schema_2(),
        }
    }

    fn schema_2(&self) -> String {
        let layers: Vec<String> = self
            .layers
            .iter()
            .map(|layer| descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer))
            .collect();
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{},"layers":[{}]}}"#,
            descriptor("application/vnd.docker.container.image.v1+json", &self.config),
            layers.join(",")
        )
    }

    fn schema_1(&self) -> String {
        let layers: Vec<String> =
            self.layers.iter().map(|layer| format!(r#"{{"blobSum":"sha256:{}"}}"#, layer.digest())).collect();
        format!(
            r#"{{"schemaVersion":1,"architecture":"amd64","fsLayers":[{}],"history":[],"signatures":[]}}"#,
            layers.join(",")
        )
    }

    /// Its images have tags of their own as long as nobody removes them; a build tool's statement has none.
    fn index(&self) -> String {
        let statement = mix(u64::from(self.repository) ^ u64::from(self.number) << 32);
        let statement = Blob { seed: statement, bytes: 838 };
        let parts = ["amd64", "arm64"].iter().zip(self.parts()).map(|(architecture, number)| {
            let image = Self::new(self.repository, number);
            platform(&image.digest(), image.document().len() as u64, architecture, "linux")
        });
        let parts: Vec<String> =
            parts.chain([platform(&statement.digest(), statement.bytes, "unknown", "unknown")]).collect();
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}]}}"#,
            parts.join(",")
        )
    }

    fn parts(&self) -> [u32; 2] {
        parts(self.number)
    }
}

/// The images that an index lists, by their numbers.
fn parts(number: u32) -> [u32; 2] {
    [number - 2, number - 1]
}

/// Size of one image, without building it.
pub(super) fn bytes(repository: u32, number: u32) -> u64 {
    if kind(repository, number) == Kind::Index {
        return parts(number).into_iter().map(|part| bytes(repository, part)).sum();
    }
    let mut sum = config(repository, number).bytes;
    each_layer(repository, number, |blob| sum += blob.bytes);
    sum
}

fn platform(digest: &str, bytes: u64, architecture: &str, os: &str) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{bytes},"digest":"sha256:{digest}","platform":{{"architecture":"{architecture}","os":"{os}"}}}}"#
    )
}

/// A number that no seed of another kind is likely to meet: the finaliser of splitmix64.
pub(super) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn config(repository: u32, number: u32) -> Blob {
    let seed = mix((u64::from(repository) << 32 | u64::from(number)) ^ 0xc0f1);
    Blob { seed, bytes: 1_500 + seed % 7_000 }
}

fn each_layer(repository: u32, number: u32, mut visit: impl FnMut(Blob)) {
    let character = mix(u64::from(repository));
    let base = character % BASES;
    for layer in 0..1 + base % 4 {
        let seed = mix(base << 8 | layer | 0xba5e << 32);
        visit(Blob { seed, bytes: skewed(seed, 20, 6) });
    }
    // A repository has a scale: some build one static binary, some ship a model of several gigabytes.
    let scale = 12 + u32::try_from(character >> 8 & 7).expect("three bits");
    for layer in 0..OWN_LAYERS {
        // The lowest of its own layers changes with every sixteenth image, the highest with each.
        let version = u64::from(number) >> (2 * (OWN_LAYERS - 1 - layer));
        let seed = mix(character ^ layer << 40 ^ mix(version));
        visit(Blob { seed, bytes: skewed(seed, scale, 8) });
    }
}

/// Between `2^low` and `2^(low + spread)` bytes, each power of two equally likely.
fn skewed(seed: u64, low: u32, spread: u64) -> u64 {
    let exponent = low + u32::try_from(seed % spread).expect("a small spread");
    let unit = 1_u64 << exponent;
    unit + (seed >> 8) % unit
}

fn descriptor(media_type: &str, blob: &Blob) -> String {
    format!(r#"{{"mediaType":"{media_type}","size":{},"digest":"sha256:{}"}}"#, blob.bytes, blob.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_the_sum_of_config_and_layers() {
        for (repository, number) in [(0, 0), (7, 3), (1_000_000, 99)] {
            let image = Image::new(repository, number);
            let manifest: serde_json::Value = serde_json::from_str(&image.manifest()).unwrap();
            let layers: u64 = manifest["layers"].as_array().unwrap().iter().map(|l| l["size"].as_u64().unwrap()).sum();
            assert_eq!(manifest["config"]["size"].as_u64().unwrap() + layers, image.bytes());
        }
    }

    #[test]
    fn an_index_lists_images_of_the_same_repository() {
        let all = || (0..200).flat_map(|repository| (0..20).map(move |number| (repository, number)));
        for (repository, number) in all().filter(|(repository, number)| kind(*repository, *number) == Kind::Index) {
            let index: serde_json::Value = serde_json::from_str(&Image::new(repository, number).manifest()).unwrap();
            for (place, part) in parts(number).into_iter().enumerate() {
                let image = Image::new(repository, part);
                assert_eq!(image.kind(), Kind::Image);
                assert_eq!(index["manifests"][place]["digest"], format!("sha256:{}", image.digest()));
                assert_eq!(index["manifests"][place]["size"], image.manifest().len());
            }
        }
        for wanted in [Kind::Image, Kind::Index, Kind::Schema1, Kind::Untold] {
            assert!(all().any(|(repository, number)| kind(repository, number) == wanted), "{wanted:?}");
        }
    }

    #[test]
    fn neighbouring_images_share_layers() {
        let (first, second) = (Image::new(5, 0), Image::new(5, 1));
        assert_ne!(first.config, second.config);
        assert_eq!(first.layers[0], second.layers[0]);
        assert_ne!(first.layers.last(), second.layers.last());
        assert_eq!(first.layers[0].digest().len(), 64);
    }
}
