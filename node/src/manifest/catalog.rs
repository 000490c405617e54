//! The set of apps that is installed now: manifests, users and folders together.
//!
//! A manifest that cannot be taken refuses that file only. Where an earlier reading of the same file was taken, that one stays
//! in force until the file is gone or right again: a slip in an editor does not uninstall an app.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use lull_launcher::sandbox::Sandbox;
use lull_policy::{App, AppId, EntryPoint};
use tokio::sync::watch;

use super::owner::{Owner, OwnerError, Rights, Users};
use super::state_folder::{self, FolderError};
use super::uids::{UidBook, UidError};
use super::{Manifest, Program, allowed, bounds, folder, read};
use crate::config::NodeConfig;
use crate::durable_file;
use crate::error_chain::chain;
use crate::ports::{AppOwners, AppSource, DeclaredRegistration, RefusedManifest, ReloadReport};
use crate::sources::AppUsers;
use crate::supervisor::{AgentCatalog, AgentProgram};

/// Why there is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A folder cannot be had.
    #[error("making the folder of manifests {}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folders of the apps cannot be had.
    #[error(transparent)]
    States(#[from] FolderError),
    /// The book of users cannot be had.
    #[error(transparent)]
    Uids(#[from] UidError),
}

/// The installed apps. Shared; readers never wait for a reading of the folder.
#[derive(Debug)]
pub struct Catalog {
    config: NodeConfig,
    rights: Rights,
    users: Users,
    /// Held for the whole of a reading, so that two of them exclude each other.
    book: Mutex<UidBook>,
    installed: RwLock<Arc<Installed>>,
    apps: watch::Sender<Arc<Vec<App>>>,
}

#[derive(Debug, Default)]
struct Installed {
    apps: BTreeMap<AppId, Arc<InstalledApp>>,
    report: ReloadReport,
}

#[derive(Debug)]
struct InstalledApp {
    file: PathBuf,
    manifest: Manifest,
    owner: Owner,
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
enum RefusalReason {
    #[error(transparent)]
    File(#[from] folder::FileError),
    #[error(transparent)]
    Document(#[from] lull_document::DocumentError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Uid(#[from] UidError),
    #[error("id: app {id} is already installed by {}; remove one of the two", first.display())]
    SameId { id: AppId, first: PathBuf },
    #[error(
        "user {uid} is already the user of app {other}; each app needs its own, as the user is the app"
    )]
    SameUser { uid: u32, other: AppId },
    #[error(
        "at most {} apps are installed on a device; remove one",
        lull_policy::bounds::APPS
    )]
    TooMany,
}

impl Catalog {
    /// An empty catalog over the configured folders, which are made where they are missing. [`AppSource::reload`] fills it.
    pub fn open(config: &NodeConfig) -> Result<Self, CatalogError> {
        Self::with(config, Rights::here(), Users::of(Path::new("/etc")))
    }

    pub(super) fn with(
        config: &NodeConfig,
        rights: Rights,
        users: Users,
    ) -> Result<Self, CatalogError> {
        let folder = |source| CatalogError::Folder {
            folder: config.apps_dir.clone(),
            source,
        };
        durable_file::make_folder(&config.apps_dir, 0o755).map_err(folder)?;
        state_folder::prepare(&config.state_dir, &config.app_states_dir(), rights)?;
        let book = UidBook::open(&config.state_dir.join("uids.json"), config.agents.uids())?;
        Ok(Self {
            config: config.clone(),
            rights,
            users,
            book: Mutex::new(book),
            installed: RwLock::default(),
            apps: watch::Sender::default(),
        })
    }

    /// The folder of manifests.
    pub fn folder(&self) -> &Path {
        &self.config.apps_dir
    }

    /// The installed apps, and every later set of them.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Vec<App>>> {
        self.apps.subscribe()
    }

    fn installed(&self) -> Arc<Installed> {
        let installed = self.installed.read();
        Arc::clone(&installed.unwrap_or_else(PoisonError::into_inner))
    }

    fn book(&self) -> MutexGuard<'_, UidBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, new: Installed) -> ReloadReport {
        let report = new.report.clone();
        let mut installed = self
            .installed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *installed = Arc::new(new);
        drop(installed);
        self.apps.send_if_modified(|apps| {
            let changed = **apps != report.apps;
            if changed {
                *apps = Arc::new(report.apps.clone());
            }
            changed
        });
        report
    }

    /// One whole reading of the folder.
    fn read_folder(&self, book: &mut UidBook) -> Installed {
        let before = self.installed();
        let candidates = match folder::read(&self.config.apps_dir) {
            Ok(candidates) => candidates,
            Err(error) => {
                // The folder itself cannot be read: nobody was uninstalled by that.
                let mut report = before.report.clone();
                let reason = RefusalReason::File(error);
                report.refused = vec![refused(&self.config.apps_dir, &reason, false)];
                let apps = before.apps.clone();
                return Installed { apps, report };
            }
        };
        let mut reading = Reading::new(self, book);
        for candidate in candidates {
            let text = candidate.text.map_err(RefusalReason::File);
            let taken = text.and_then(|text| reading.take(&candidate.path, &text));
            if let Err(reason) = taken {
                let earlier = before.apps.values().find(|app| app.file == candidate.path);
                let stays = earlier.is_some_and(|earlier| reading.keep(earlier));
                let refused = refused(&candidate.path, &reason, stays);
                reading.refused.push(refused);
            }
        }
        reading.end()
    }
}

fn refused(path: &Path, reason: &RefusalReason, stays: bool) -> RefusedManifest {
    let mut error = match reason {
        // Names its file itself.
        RefusalReason::Document(error) => error.to_string(),
        reason => format!("{}: {}", path.display(), chain(reason)),
    };
    if stays {
        error.push_str(" (what was read of it before stays in force)");
    }
    tracing::warn!(%error, "a manifest was refused");
    RefusedManifest {
        path: path.to_owned(),
        error,
    }
}

/// A reading of the folder under way.
#[derive(Debug)]
struct Reading<'c> {
    catalog: &'c Catalog,
    book: &'c mut UidBook,
    apps: BTreeMap<AppId, Arc<InstalledApp>>,
    refused: Vec<RefusedManifest>,
}

impl<'c> Reading<'c> {
    fn new(catalog: &'c Catalog, book: &'c mut UidBook) -> Self {
        Self {
            catalog,
            book,
            apps: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    fn take(&mut self, file: &Path, text: &str) -> Result<(), RefusalReason> {
        let manifest = read(file, text, &self.catalog.config.policy)?;
        self.free(&manifest.id)?;
        let owner = self.owner(&manifest)?;
        self.only_owner(owner.uid)?;
        let states = self.catalog.config.app_states_dir();
        if let Err(error) = state_folder::ensure(&states, &manifest.id, &owner) {
            // Tried again at each start of an agent, which then says why it cannot be.
            tracing::error!(app = %manifest.id, error = chain(&error), "the app's folder cannot be had");
        }
        let app = InstalledApp {
            file: file.to_owned(),
            owner,
            manifest,
        };
        self.apps.insert(app.manifest.id.clone(), Arc::new(app));
        Ok(())
    }

    /// Keeps what was read before of a file that cannot be taken now, unless another file has its id or user.
    fn keep(&mut self, earlier: &Arc<InstalledApp>) -> bool {
        let id = &earlier.manifest.id;
        if self.free(id).is_err() || self.only_owner(earlier.owner.uid).is_err() {
            return false;
        }
        self.apps.insert(id.clone(), Arc::clone(earlier));
        true
    }

    fn free(&self, id: &AppId) -> Result<(), RefusalReason> {
        if let Some(first) = self.apps.get(id) {
            return Err(RefusalReason::SameId {
                id: id.clone(),
                first: first.file.clone(),
            });
        }
        if self.apps.len() >= lull_policy::bounds::APPS {
            return Err(RefusalReason::TooMany);
        }
        Ok(())
    }

    fn owner(&mut self, manifest: &Manifest) -> Result<Owner, RefusalReason> {
        let users = &self.catalog.users;
        if let Rights::Own { uid, gid } = self.catalog.rights {
            let (groups, name) = (Vec::new(), None);
            return Ok(Owner {
                uid,
                gid,
                groups,
                name,
            });
        }
        if let Some(user) = &manifest.user {
            return Ok(users.find(user)?);
        }
        let taken: BTreeSet<u32> = users.uids()?.into_iter().collect();
        let states = self.catalog.config.app_states_dir();
        let folder_owner = state_folder::owner_of(&states, &manifest.id);
        let uid = self.book.give(&manifest.id, folder_owner, &taken)?;
        Ok(Owner {
            uid,
            gid: uid,
            groups: Vec::new(),
            name: None,
        })
    }

    /// As root the user is the app; without root all share one.
    fn only_owner(&self, uid: u32) -> Result<(), RefusalReason> {
        if self.catalog.rights != Rights::Root {
            return Ok(());
        }
        match self.apps.values().find(|app| app.owner.uid == uid) {
            Some(other) => Err(RefusalReason::SameUser {
                uid,
                other: other.manifest.id.clone(),
            }),
            None => Ok(()),
        }
    }

    fn end(self) -> Installed {
        let declared = |app: &Arc<InstalledApp>| {
            let id = app.manifest.id.clone();
            let requests = app.manifest.registrations.clone();
            requests
                .into_iter()
                .map(move |request| DeclaredRegistration {
                    app: id.clone(),
                    request,
                })
        };
        let report = ReloadReport {
            apps: self.apps.values().map(|app| app.manifest.app()).collect(),
            declared: self.apps.values().flat_map(declared).collect(),
            refused: self.refused,
        };
        Installed {
            apps: self.apps,
            report,
        }
    }
}

impl AppSource for Catalog {
    fn reload(&self) -> ReloadReport {
        let mut book = self.book();
        let new = self.read_folder(&mut book);
        self.publish(new)
    }

    fn last(&self) -> ReloadReport {
        self.installed().report.clone()
    }
}

impl AppOwners for Catalog {
    fn uid_of(&self, app: &AppId) -> Option<u32> {
        self.installed().apps.get(app).map(|app| app.owner.uid)
    }

    fn folder_of(&self, app: &AppId) -> Option<PathBuf> {
        self.uid_of(app)
            .map(|_installed| self.config.app_state_dir(app))
    }

    fn user_of(&self, app: &AppId) -> Option<String> {
        let installed = self.installed();
        let owner = &installed.apps.get(app)?.owner;
        Some(owner.name.clone().unwrap_or_else(|| owner.uid.to_string()))
    }
}

impl AppUsers for Catalog {
    fn user(&self, app: &AppId) -> Option<Owner> {
        self.installed().apps.get(app).map(|app| app.owner.clone())
    }
}

impl AgentCatalog for Catalog {
    fn agent(&self, app: &AppId, entry_point: &EntryPoint) -> Result<AgentProgram, String> {
        let found = self.find(app)?;
        let agent = found.manifest.agents.get(entry_point).ok_or_else(|| {
            format!(
                "entry point {entry_point} is not declared in {}",
                found.file.display()
            )
        })?;
        let sandbox = allowed::sandbox(&found.manifest.app(), agent);
        self.ready(&found, &agent.program, sandbox)
    }

    fn front(&self, app: &AppId) -> Result<AgentProgram, String> {
        let found = self.find(app)?;
        let front = found.manifest.front.as_ref().ok_or_else(|| {
            format!(
                "the app's own process does not run, and {} does not say how it is started; start the app, or add a [front] with its command",
                found.file.display()
            )
        })?;
        let sandbox = allowed::sandbox_of_front(&found.manifest.app(), front);
        self.ready(&found, front, sandbox)
    }
}

impl Catalog {
    fn find(&self, app: &AppId) -> Result<Arc<InstalledApp>, String> {
        let installed = self.installed();
        installed.apps.get(app).cloned().ok_or_else(|| {
            format!(
                "app {app} is not installed: no manifest in {} has its id",
                self.config.apps_dir.display()
            )
        })
    }

    /// A program as its app's user, with the app's folder there.
    fn ready(
        &self,
        app: &InstalledApp,
        program: &Program,
        sandbox: Sandbox,
    ) -> Result<AgentProgram, String> {
        let states = self.config.app_states_dir();
        let state_dir = state_folder::ensure(&states, &app.manifest.id, &app.owner)
            .map_err(|error| chain(&error))?;
        Ok(AgentProgram {
            program: program.path.clone(),
            args: program.args.clone(),
            environment: program.environment.clone(),
            uid: app.owner.uid,
            gid: app.owner.gid,
            groups: app.owner.groups.clone(),
            user_name: app.owner.name.clone(),
            sandbox,
            state_dir,
        })
    }
}

const _: () = assert!(
    bounds::FILES >= lull_policy::bounds::APPS,
    "every app needs a file"
);
