//! From a manifest, which the API gives as JSON in a string, to the bytes that it stands for.
//!
//! Read with tolerance: Docker's schema 2 and OCI manifests name a configuration and layers with their sizes; manifest
//! lists and OCI indexes name other manifests; schema 1 names layers without sizes; and there may be none, or a broken
//! one. Source: swr-api.md 2.1; the OCI image specification; Docker's "Image Manifest Version 2, Schema 2".

use super::wire;
use crate::model::tags::{Blob, Contents, Digest32};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    config: Option<&'a RawValue>,
    #[serde(borrow)]
    layers: Option<&'a RawValue>,
    #[serde(borrow)]
    manifests: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Descriptor<'a> {
    #[serde(borrow, rename = "mediaType")]
    media_type: Option<&'a RawValue>,
    #[serde(borrow)]
    digest: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    platform: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Platform<'a> {
    #[serde(borrow)]
    os: Option<&'a RawValue>,
}

/// What a manifest says. One blob that cannot be understood makes the whole unknown: its bytes would be missing.
pub fn contents(manifest: &str) -> Contents {
    let Ok(wire) = serde_json::from_str::<Wire<'_>>(manifest) else { return Contents::Unknown };
    // An image says so by its layers, whatever media type it claims; only indexes have a list of manifests.
    image(&wire).map(Contents::Image).or_else(|| index(&wire).map(Contents::Index)).unwrap_or_default()
}

fn image(wire: &Wire<'_>) -> Option<Vec<Blob>> {
    let layers: Vec<Descriptor<'_>> = serde_json::from_str(wire.layers?.get()).ok()?;
    let config: Descriptor<'_> = serde_json::from_str(wire.config?.get()).ok()?;
    std::iter::once(&config).chain(layers.iter().filter(|layer| !is_elsewhere(layer))).map(blob).collect()
}

fn index(wire: &Wire<'_>) -> Option<Vec<Digest32>> {
    let images: Vec<Descriptor<'_>> = serde_json::from_str(wire.manifests?.get()).ok()?;
    images.iter().filter(|image| !is_attestation(image)).map(digest).collect()
}

fn blob(descriptor: &Descriptor<'_>) -> Option<Blob> {
    Some(Blob { digest: digest(descriptor)?, size: descriptor.size?.get().parse().ok()? })
}

fn digest(descriptor: &Descriptor<'_>) -> Option<Digest32> {
    Digest32::parse(&wire::text(descriptor.digest?.get())?)
}

/// Layers that may not be distributed, such as those of Windows, are fetched from their maker and not stored here.
fn is_elsewhere(layer: &Descriptor<'_>) -> bool {
    let media_type = layer.media_type.and_then(|raw| wire::text(raw.get())).unwrap_or_default();
    media_type.contains(".foreign.") || media_type.contains(".nondistributable.")
}

/// Build tools add statements about an image to its index, for a platform that nobody has.
fn is_attestation(image: &Descriptor<'_>) -> bool {
    let platform = image.platform.and_then(|raw| serde_json::from_str::<Platform<'_>>(raw.get()).ok());
    platform.and_then(|platform| wire::text(platform.os?.get())).is_some_and(|os| os == "unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex_of(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn descriptor(media_type: &str, digit: char, size: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","size":{size},"digest":"sha256:{}"}}"#, hex_of(digit))
    }

    fn blob_of(digit: char, size: u64) -> Blob {
        Blob { digest: Digest32::parse(&format!("sha256:{}", hex_of(digit))).unwrap(), size }
    }

    #[test]
    fn images_of_docker_and_oci_are_their_config_and_layers() {
        for (manifest, config, layer) in [
            (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            ),
            (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
        ] {
            let text = format!(
                r#"{{"schemaVersion":2,"mediaType":"{manifest}","config":{},"layers":[{},{}],"annotations":{{}}}}"#,
                descriptor(config, 'a', "1862"),
                descriptor(layer, 'b', "1292800"),
                descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", 'c', "9000000000"),
            );
            assert_eq!(contents(&text), Contents::Image(vec![blob_of('a', 1862), blob_of('b', 1_292_800)]));
        }
    }

    #[test]
    fn an_index_is_the_digests_of_its_images() {
        let image = descriptor("application/vnd.oci.image.manifest.v1+json", 'd', "700");
        let attestation = image.replace('}', r#","platform":{"architecture":"unknown","os":"unknown"}}"#);
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{image},{attestation}]}}"#
        );
        assert_eq!(contents(&text), Contents::Index(vec![blob_of('d', 0).digest]));
    }

    #[test]
    fn what_names_no_sizes_is_unknown_and_not_nothing() {
        let config = descriptor("c", 'a', "1");
        let schema_1 =
            format!(r#"{{"schemaVersion":1,"fsLayers":[{{"blobSum":"sha256:{}"}}],"history":[]}}"#, hex_of('a'));
        for text in [
            "",
            "null",
            "{}",
            "[]",
            "{\"config\":",
            &schema_1,
            &format!(r#"{{"config":{config},"layers":null}}"#),
            &format!(r#"{{"config":{config},"layers":[7]}}"#),
            &format!(r#"{{"config":{config},"layers":[{}]}}"#, descriptor("l", 'b', "-5")),
            &format!(r#"{{"config":{config},"layers":[{}]}}"#, descriptor("l", 'b', "1e400")),
            &format!(r#"{{"config":{config},"layers":[{{"size":5,"digest":7}}]}}"#),
            &format!(r#"{{"layers":[{}]}}"#, descriptor("l", 'b', "5")),
            r#"{"manifests":[{"digest":"no algorithm"}]}"#,
        ] {
            assert_eq!(contents(text), Contents::Unknown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_manifest_makes_the_reader_panic(text in ".{0,200}", keys in "[\\{\\}\\[\\]\":,a-z0-9]{0,200}") {
            let _ = (contents(&text), contents(&keys), contents(&format!(r#"{{"layers":[{keys}]}}"#)));
        }
    }
}
