//! Content of an image: a configuration and layers, some of them shared.
//!
//! Nothing is stored: everything follows from the repository's id and the image's number within it. Base
//! layers are shared between repositories, upper layers between neighbouring images of one repository, so the bytes
//! stored are fewer than the sum of the sizes.

use sha2::{Digest, Sha256};

/// Base images in the whole world.
const BASE_IMAGES: u64 = 24;
/// Layers of an image above its base.
const OWN_LAYERS: u64 = 3;

/// One blob: a configuration or a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    seed: u64,
    pub(super) bytes: u64,
}

impl Blob {
    /// A made-up digest, without the `sha256:` prefix: there is no content to hash.
    pub(super) fn digest(&self) -> String {
        let mut bytes = [0; 32];
        for (index, part) in (0_u64..).zip(bytes.chunks_exact_mut(8)) {
            part.copy_from_slice(&mix(self.seed ^ mix(index + 1)).to_be_bytes());
        }
        hex::encode(bytes)
    }
}

/// Kinds of manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ManifestKind {
    /// An image of one architecture.
    Image,
    /// A list of the two images before it.
    Index,
    /// An image of schema 1, which has no sizes.
    Schema1,
    /// An image whose manifest the service leaves out.
    Withheld,
}

/// The kind of an image. Most repositories have one kind only.
pub(super) fn kind(recipe: Recipe, number: u32) -> ManifestKind {
    match mix(u64::from(recipe.repository) ^ 0x6b1d) % 40 {
        _ if recipe.layer_bytes > 0 => ManifestKind::Image,
        0..6 if number % 5 == 4 => ManifestKind::Index,
        6 if number % 7 == 6 => ManifestKind::Schema1,
        7 if number % 9 == 8 => ManifestKind::Withheld,
        _ => ManifestKind::Image,
    }
}

/// What the images of a repository are generated from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    /// Id of the repository.
    pub(super) repository: u32,
    /// Bytes of each image's own layer, which no other image shares; 0 for layers of all sizes.
    pub(super) layer_bytes: u64,
}

/// One image.
#[derive(Clone, Debug)]
pub(super) struct Image {
    kind: ManifestKind,
    recipe: Recipe,
    number: u32,
    config: Blob,
    layers: Vec<Blob>,
}

impl Image {
    pub(super) fn new(recipe: Recipe, number: u32) -> Self {
        let mut layers = Vec::new();
        each_layer(recipe, number, |blob| layers.push(blob));
        Self { kind: kind(recipe, number), recipe, number, config: config(recipe.repository, number), layers }
    }

    /// What it is.
    pub(super) fn kind(&self) -> ManifestKind {
        self.kind
    }

    /// Digest of the configuration without prefix; empty for an index.
    pub(super) fn id(&self) -> String {
        if self.kind == ManifestKind::Index { String::new() } else { self.config.digest() }
    }

    /// Size of the image as the service counts it: configuration and layers, without the manifest. For an index, the sum
    /// over its images, which is a guess.
    pub(super) fn bytes(&self) -> u64 {
        bytes(self.recipe, self.number)
    }

    /// Digest of the manifest without prefix.
    pub(super) fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.document()))
    }

    /// The manifest as the service returns it.
    pub(super) fn manifest(&self) -> String {
        if self.kind == ManifestKind::Withheld { String::new() } else { self.document() }
    }

    fn document(&self) -> String {
        match self.kind {
            ManifestKind::Index => self.index(),
            ManifestKind::Schema1 => self.schema_1(),
            ManifestKind::Image | ManifestKind::Withheld => self.schema_2(),
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

    /// An index. Its images have their own tags until these are deleted; its attestation has none.
    fn index(&self) -> String {
        let statement = mix(u64::from(self.recipe.repository) ^ u64::from(self.number) << 32);
        let statement = Blob { seed: statement, bytes: 838 };
        let parts = ["amd64", "arm64"].iter().zip(self.parts()).map(|(architecture, number)| {
            let image = Self::new(self.recipe, number);
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

/// Numbers of the images that an index lists.
fn parts(number: u32) -> [u32; 2] {
    [number - 2, number - 1]
}

/// Size of one image, without building it.
pub(super) fn bytes(recipe: Recipe, number: u32) -> u64 {
    if kind(recipe, number) == ManifestKind::Index {
        return parts(number).into_iter().map(|part| bytes(recipe, part)).sum();
    }
    let mut sum = config(recipe.repository, number).bytes;
    each_layer(recipe, number, |blob| sum += blob.bytes);
    sum
}

fn platform(digest: &str, bytes: u64, architecture: &str, os: &str) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":{bytes},"digest":"sha256:{digest}","platform":{{"architecture":"{architecture}","os":"{os}"}}}}"#
    )
}

/// A 64-bit hash: the finaliser of splitmix64.
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

fn each_layer(recipe: Recipe, number: u32, mut visit: impl FnMut(Blob)) {
    let character = mix(u64::from(recipe.repository));
    let base = character % BASE_IMAGES;
    for layer in 0..1 + base % 4 {
        let seed = mix(base << 8 | layer | 0xba5e << 32);
        visit(Blob { seed, bytes: skewed(seed, 20, 6) });
    }
    if recipe.layer_bytes > 0 {
        let seed = mix(character ^ 0x91a7 << 40 ^ mix(number.into()));
        // Builds of one image differ a little.
        return visit(Blob {
            seed,
            bytes: recipe.layer_bytes - recipe.layer_bytes / 64 + seed % (recipe.layer_bytes / 32),
        });
    }
    // Each repository has a scale, from a static binary to a model of several gigabytes.
    let scale = 12 + u32::try_from(character >> 8 & 7).expect("three bits");
    for layer in 0..OWN_LAYERS {
        // The lowest own layer changes with every sixteenth image, the highest with each.
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

    fn of(repository: u32) -> Recipe {
        Recipe { repository, layer_bytes: 0 }
    }

    #[test]
    fn images_of_a_planned_size_have_it_and_share_no_layer_of_their_own() {
        let recipe = Recipe { repository: 3, layer_bytes: 1 << 30 };
        let (first, second) = (Image::new(recipe, 0), Image::new(recipe, 1));
        assert_ne!(first.layers.last(), second.layers.last());
        assert!(first.bytes().abs_diff(1 << 30) < 1 << 29, "{}", first.bytes());
    }

    #[test]
    fn size_is_the_sum_of_config_and_layers() {
        for (repository, number) in [(0, 0), (7, 3), (1_000_000, 99)] {
            let image = Image::new(of(repository), number);
            let manifest: serde_json::Value = serde_json::from_str(&image.manifest()).unwrap();
            let layers: u64 = manifest["layers"].as_array().unwrap().iter().map(|l| l["size"].as_u64().unwrap()).sum();
            assert_eq!(manifest["config"]["size"].as_u64().unwrap() + layers, image.bytes());
        }
    }

    #[test]
    fn an_index_lists_images_of_the_same_repository() {
        let all = || (0..200).flat_map(|repository| (0..20).map(move |number| (repository, number)));
        for (repository, number) in
            all().filter(|(repository, number)| kind(of(*repository), *number) == ManifestKind::Index)
        {
            let index: serde_json::Value =
                serde_json::from_str(&Image::new(of(repository), number).manifest()).unwrap();
            for (place, part) in parts(number).into_iter().enumerate() {
                let image = Image::new(of(repository), part);
                assert_eq!(image.kind(), ManifestKind::Image);
                assert_eq!(index["manifests"][place]["digest"], format!("sha256:{}", image.digest()));
                assert_eq!(index["manifests"][place]["size"], image.manifest().len());
            }
        }
        for wanted in [ManifestKind::Image, ManifestKind::Index, ManifestKind::Schema1, ManifestKind::Withheld] {
            assert!(all().any(|(repository, number)| kind(of(repository), number) == wanted), "{wanted:?}");
        }
    }

    #[test]
    fn neighbouring_images_share_layers() {
        let (first, second) = (Image::new(of(5), 0), Image::new(of(5), 1));
        assert_ne!(first.config, second.config);
        assert_eq!(first.layers[0], second.layers[0]);
        assert_ne!(first.layers.last(), second.layers.last());
        assert_eq!(first.layers[0].digest().len(), 64);
    }
}
