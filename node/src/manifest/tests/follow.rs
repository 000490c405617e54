//! Following the folder: what is written there comes to the machine.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lull_policy::{Answer, CallId, Caller, Device as Machine, Effect, Event, Now, Request};
use tokio::sync::watch;

use super::catalog::{Device, small};
use super::*;
use crate::ports::{Engine, EngineError, PortFuture};

const PATIENCE: Duration = Duration::from_secs(20);

/// A machine without a store, that says what was installed, and refuses as often as it is asked to.
#[derive(Debug)]
struct Host {
    machine: Mutex<Machine>,
    installed: watch::Sender<Vec<String>>,
    refuse: AtomicU32,
}

impl Host {
    fn handle(&self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        let apps = match &event {
            Event::Apps(apps) => Some(apps.clone()),
            _ => None,
        };
        let mut machine = self.machine.lock().unwrap();
        machine.handle(Now::default(), event, &mut effects);
        if let Some(apps) = apps {
            let ids = apps.iter().map(|app| format!("{} {}", app.id, app.version));
            self.installed.send_replace(ids.collect());
        }
        effects
    }
}

impl Engine for Host {
    fn commit(&self, event: Event) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            let left = self.refuse.load(Ordering::Relaxed);
            if left > 0 {
                self.refuse.store(left - 1, Ordering::Relaxed);
                return Err(EngineError::Unavailable);
            }
            self.handle(event);
            Ok(())
        })
    }
    fn tell(&self, event: Event) -> Result<(), EngineError> {
        self.handle(event);
        Ok(())
    }
    fn call(
        &self,
        caller: Caller,
        request: Request,
    ) -> PortFuture<'_, Result<Answer, EngineError>> {
        Box::pin(async move {
            let call = CallId(1);
            let effects = self.handle(Event::Call {
                call,
                caller,
                request,
            });
            let answer = effects.into_iter().find_map(|effect| match effect {
                Effect::Reply { answer, .. } => Some(answer),
                _ => None,
            });
            answer.ok_or(EngineError::Ending)
        })
    }
    fn look(
        &self,
        look: Box<dyn FnOnce(&Machine, Now) + Send>,
    ) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            look(&self.machine.lock().unwrap(), Now::default());
            Ok(())
        })
    }
}

fn host(refuse: u32) -> (Arc<Host>, watch::Receiver<Vec<String>>) {
    let (installed, seen) = watch::channel(vec!["nothing was told".to_owned()]);
    let machine = Mutex::new(Machine::new());
    let refuse = AtomicU32::new(refuse);
    let host = Host {
        machine,
        installed,
        refuse,
    };
    (Arc::new(host), seen)
}

async fn told(seen: &mut watch::Receiver<Vec<String>>, apps: &[&str]) {
    let told = seen.wait_for(|seen| seen == apps);
    let told = tokio::time::timeout(PATIENCE, told).await;
    assert!(told.is_ok(), "the machine was not told of {apps:?}");
}

#[tokio::test]
async fn what_comes_and_goes_in_the_folder_comes_to_the_machine() {
    let device = Device::new();
    let (host, mut seen) = host(2);
    let engine: crate::ports::EngineRef = Arc::<Host>::clone(&host);
    let following = tokio::spawn(follow(Arc::clone(&device.catalog), engine));
    told(&mut seen, &[]).await;
    let push = "[[register]]\nname = \"p\"\nentry_point = \"a\"\ntrigger.timer.minutes = 30\n";
    device.put("a.toml", &[&small("a"), push].concat());
    told(&mut seen, &["a 1"]).await;
    device.put("b.toml", &small("b"));
    told(&mut seen, &["a 1", "b 1"]).await;
    device.put("a.toml", &small("a").replace("\"1\"", "\"2\""));
    told(&mut seen, &["a 2", "b 1"]).await;
    // A file that is wrong changes nothing of what is installed; removing it does.
    device.put("b.toml", "id = ");
    std::fs::remove_file(device.path("a.toml")).unwrap();
    told(&mut seen, &["b 1"]).await;
    // The folder is replaced by another one.
    let apps = device.path("x").parent().unwrap().to_owned();
    std::fs::rename(&apps, device.folder.path().join("old")).unwrap();
    std::fs::create_dir(&apps).unwrap();
    device.put("c.toml", &small("a"));
    told(&mut seen, &["a 1"]).await;
    device.put("d.toml", &small("b"));
    told(&mut seen, &["a 1", "b 1"]).await;
    following.abort();
    let registered = host.machine.lock().unwrap().registrations().count();
    assert_eq!(registered, 0, "the app that registered is gone");
}

#[tokio::test]
async fn what_a_manifest_declares_is_registered() {
    let device = Device::new();
    let push = "[[register]]\nname = \"p\"\nentry_point = \"a\"\ntrigger.timer.minutes = 30\n";
    device.put("a.toml", &[&small("a"), push].concat());
    let (host, _seen) = host(0);
    let engine: crate::ports::EngineRef = Arc::<Host>::clone(&host);
    let following = tokio::spawn(follow(Arc::clone(&device.catalog), engine));
    let registered = async {
        while host.machine.lock().unwrap().registrations().count() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, registered).await.unwrap();
    following.abort();
}
