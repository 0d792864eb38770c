//! The figures beside the listing as bytes, by the same rules as the rows.

use super::{Input, number, optional, signed, text, unzigzag, zigzag};
use crate::model::Timestamp;
use crate::model::figures::{
    Account, Dated, Enterprise, Instance, InstanceRepository, Organisation, Overview, Quota, Statistics,
};
use std::io::{self, Write};

/// Writes the account's figures.
pub(super) fn encode_account(account: &Account, out: &mut dyn Write) -> io::Result<()> {
    dated(out, account.organisations.as_ref(), |out, organisations| {
        list(out, organisations, |out, organisation| {
            text(out, &organisation.name)?;
            optional(out, organisation.repositories)
        })
    })?;
    dated(out, account.overview.as_ref(), |out, overview| {
        for value in [overview.namespaces, overview.repositories, overview.images] {
            optional(out, value)?;
        }
        for value in [overview.storage, overview.download_traffic] {
            optional(out, value.map(f64::to_bits))?;
        }
        Ok(())
    })?;
    dated(out, account.quotas.as_ref(), |out, quotas| list(out, quotas, quota))
}

/// Reads the account's figures.
pub(super) fn decode_account(input: &mut Input<'_>) -> Option<Account> {
    Some(Account {
        organisations: read_dated(input, |input| {
            read_list(input, |input| Some(Organisation { name: input.text()?.into(), repositories: input.optional()? }))
        })?,
        overview: read_dated(input, |input| {
            Some(Overview {
                namespaces: input.optional()?,
                repositories: input.optional()?,
                images: input.optional()?,
                storage: read_fraction(input)?,
                download_traffic: read_fraction(input)?,
            })
        })?,
        quotas: read_dated(input, |input| read_list(input, read_quota))?,
    })
}

/// Writes the Enterprise Edition.
pub(super) fn encode_enterprise(enterprise: &Enterprise, out: &mut dyn Write) -> io::Result<()> {
    dated(out, enterprise.instances.as_ref(), |out, instances| {
        list(out, instances, |out, instance| {
            let Instance { id, name, spec, version, status, charge_mode, created, expires, statistics } = instance;
            for value in [id, name, spec, version, status, charge_mode] {
                text(out, value)?;
            }
            optional(out, created.map(zigzag))?;
            optional(out, expires.map(zigzag))?;
            dated(out, statistics.as_ref(), |out, statistics| {
                optional(out, statistics.storage)?;
                list(out, &statistics.quotas, quota)
            })
        })
    })?;
    dated(out, enterprise.repositories.as_ref(), |out, rows| {
        list(out, rows, |out, row| {
            for value in [&row.instance, &row.namespace, &*row.name] {
                text(out, value)?;
            }
            for value in [row.tags, row.artifacts, row.downloads, row.created.map(zigzag), row.updated.map(zigzag)] {
                optional(out, value)?;
            }
            Ok(())
        })
    })
}

/// Reads the Enterprise Edition.
pub(super) fn decode_enterprise(input: &mut Input<'_>) -> Option<Enterprise> {
    Some(Enterprise {
        instances: read_dated(input, |input| read_list(input, read_instance))?,
        repositories: read_dated(input, |input| {
            let mut shared = (Default::default(), Default::default());
            read_list(input, |input| read_repository(input, &mut shared))
        })?,
    })
}

fn read_instance(input: &mut Input<'_>) -> Option<Instance> {
    Some(Instance {
        id: input.text()?.into(),
        name: input.text()?.into(),
        spec: input.text()?.into(),
        version: input.text()?.into(),
        status: input.text()?.into(),
        charge_mode: input.text()?.into(),
        created: read_time(input)?,
        expires: read_time(input)?,
        statistics: read_dated(input, |input| {
            Some(Statistics { storage: input.optional()?, quotas: read_list(input, read_quota)? })
        })?,
    })
}

/// `shared` holds the instance and the namespace of the row before, which are mostly those of this one.
fn read_repository(
    input: &mut Input<'_>,
    shared: &mut (std::sync::Arc<str>, std::sync::Arc<str>),
) -> Option<InstanceRepository> {
    for known in [&mut shared.0, &mut shared.1] {
        let text = input.text()?;
        if text != &**known {
            *known = text.into();
        }
    }
    Some(InstanceRepository {
        instance: shared.0.clone(),
        namespace: shared.1.clone(),
        name: input.text()?.into(),
        tags: input.optional()?,
        artifacts: input.optional()?,
        downloads: input.optional()?,
        created: read_time(input)?,
        updated: read_time(input)?,
    })
}

fn quota(out: &mut dyn Write, quota: &Quota) -> io::Result<()> {
    text(out, &quota.name)?;
    optional(out, quota.limit)?;
    optional(out, quota.used)
}

fn read_quota(input: &mut Input<'_>) -> Option<Quota> {
    Some(Quota { name: input.text()?.into(), limit: input.optional()?, used: input.optional()? })
}

/// A part that may be absent, behind a byte that says so and the time of its read.
fn dated<T>(
    out: &mut dyn Write,
    part: Option<&Dated<T>>,
    value: impl FnOnce(&mut dyn Write, &T) -> io::Result<()>,
) -> io::Result<()> {
    let Some(part) = part else { return out.write_all(&[0]) };
    out.write_all(&[1])?;
    signed(out, part.read_at.0)?;
    value(out, &part.value)
}

fn read_dated<T>(input: &mut Input<'_>, value: impl FnOnce(&mut Input<'_>) -> Option<T>) -> Option<Option<Dated<T>>> {
    match input.byte()? {
        0 => Some(None),
        1 => {
            let read_at = Timestamp(unzigzag(u64::try_from(input.number()?).ok()?));
            Some(Some(Dated { read_at, value: value(input)? }))
        }
        _ => None,
    }
}

fn list<T>(out: &mut dyn Write, items: &[T], item: impl Fn(&mut dyn Write, &T) -> io::Result<()>) -> io::Result<()> {
    number(out, items.len() as u128)?;
    items.iter().try_for_each(|value| item(out, value))
}

/// A length is believed only as far as there are items.
fn read_list<T>(input: &mut Input<'_>, mut item: impl FnMut(&mut Input<'_>) -> Option<T>) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for _ in 0..input.number()? {
        items.push(item(input)?);
    }
    Some(items)
}

fn read_time(input: &mut Input<'_>) -> Option<Option<Timestamp>> {
    Some(input.optional()?.map(|value| Timestamp(unzigzag(value))))
}

/// What is no number of ours is none at all.
fn read_fraction(input: &mut Input<'_>) -> Option<Option<f64>> {
    match input.optional()?.map(f64::from_bits) {
        Some(value) if !value.is_finite() => None,
        value => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::option::of;
    use proptest::prelude::*;

    fn time() -> impl Strategy<Value = Timestamp> {
        any::<i64>().prop_map(Timestamp)
    }

    fn at<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Dated<T>>> {
        of((value, time()).prop_map(|(value, read_at)| Dated { value, read_at }))
    }

    fn quotas() -> impl Strategy<Value = Vec<Quota>> {
        let quota = (".{0,9}", of(any::<u64>()), of(any::<u64>())).prop_map(|(name, limit, used)| Quota {
            name: name.into(),
            limit,
            used,
        });
        proptest::collection::vec(quota, 0..4)
    }

    fn account() -> impl Strategy<Value = Account> {
        let organisation = (".{1,9}", of(any::<u64>()))
            .prop_map(|(name, repositories)| Organisation { name: name.into(), repositories });
        let count = || of(any::<u64>());
        let overview = (count(), count(), count(), of(0.0f64..1e300), of(0.0f64..1e300)).prop_map(
            |(namespaces, repositories, images, storage, download_traffic)| Overview {
                namespaces,
                repositories,
                images,
                storage,
                download_traffic,
            },
        );
        (at(proptest::collection::vec(organisation, 0..5)), at(overview), at(quotas()))
            .prop_map(|(organisations, overview, quotas)| Account { organisations, overview, quotas })
    }

    fn enterprise() -> impl Strategy<Value = Enterprise> {
        let statistics = (of(any::<u64>()), quotas()).prop_map(|(storage, quotas)| Statistics { storage, quotas });
        let instance = ("[a-f0-9]{1,8}", ".{0,9}", of(time()), of(time()), at(statistics)).prop_map(
            |(id, name, created, expires, statistics)| Instance {
                id: id.into(),
                name: name.into(),
                spec: "swr.ee.basic".into(),
                version: "".into(),
                status: "Running".into(),
                charge_mode: "postPaid".into(),
                created,
                expires,
                statistics,
            },
        );
        let repository = ("[a-c]", "[a-c]", ".{1,9}", of(any::<u64>()), of(time())).prop_map(
            |(instance, namespace, name, count, time)| InstanceRepository {
                instance: instance.into(),
                namespace: namespace.into(),
                name: name.into(),
                tags: count,
                artifacts: None,
                downloads: count,
                created: time,
                updated: None,
            },
        );
        (at(proptest::collection::vec(instance, 0..4)), at(proptest::collection::vec(repository, 0..9)))
            .prop_map(|(instances, repositories)| Enterprise { instances, repositories })
    }

    proptest! {
        #[test]
        fn figures_come_back_as_they_were(account in account(), enterprise in enterprise()) {
            let mut bytes = Vec::new();
            encode_account(&account, &mut bytes).unwrap();
            encode_enterprise(&enterprise, &mut bytes).unwrap();
            let read = |bytes: &[u8]| {
                let mut input = Input(bytes);
                let read = (decode_account(&mut input)?, decode_enterprise(&mut input)?);
                input.0.is_empty().then_some(read)
            };
            prop_assert_eq!(read(&bytes), Some((account, enterprise)));
            for end in 0..bytes.len() {
                prop_assert_eq!(read(&bytes[..end]), None);
            }
        }
    }
}
