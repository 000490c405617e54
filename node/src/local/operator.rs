//! The service for whoever runs the device: root, and the daemon's own user.

use std::sync::Arc;

use lull_policy::{Answer, AppId, Caller, Choice, RegistrationId, Request as Ask, RunId};
use lull_proto::local::v1 as wire;
use lull_proto::local::v1::operator_service_server::OperatorService;
use tonic::{Request, Response, Status};

use super::debug::{self, Debugging};
use super::peer::peer;
use super::recording::Pieces;
use super::{Local, convert, misfit, view};
use crate::declared;

/// The service.
#[derive(Debug, Clone)]
pub(super) struct Operators(pub(super) Local);

impl Operators {
    fn operating<T>(&self, request: &Request<T>) -> Result<(), Status> {
        self.0.authority.operate(&peer(request)?)
    }
}

/// An app, or all of them where the field is empty.
fn one_or_all(app: &str) -> Result<Option<AppId>, Status> {
    let named = (!app.is_empty()).then(|| convert::app(app.to_owned()));
    named.transpose()
}

#[tonic::async_trait]
impl OperatorService for Operators {
    type GetRecordingStream = Pieces;
    type DebugStream = Debugging;

    async fn debug(
        &self,
        request: Request<wire::DebugRequest>,
    ) -> Result<Response<Debugging>, Status> {
        self.operating(&request)?;
        let run = RunId(request.get_ref().run);
        Ok(Response::new(debug::attach(self.0.clone(), run).await?))
    }

    async fn get_recording(
        &self,
        request: Request<wire::GetRecordingRequest>,
    ) -> Result<Response<Pieces>, Status> {
        self.operating(&request)?;
        // What is decided rides in memory for a while.
        let flushed = self.0.engine.flush().await;
        flushed.map_err(|error| convert::unavailable(&error))?;
        let device = self.0.board.read().device;
        Ok(Response::new(self.0.recordings.send(device).await?))
    }

    async fn get_status(
        &self,
        request: Request<wire::GetStatusRequest>,
    ) -> Result<Response<wire::GetStatusResponse>, Status> {
        self.operating(&request)?;
        let board = self.0.board.read();
        let status = move |device: &_, _now| view::status(device, board);
        Ok(Response::new(self.0.look(status).await?))
    }

    async fn list_apps(
        &self,
        request: Request<wire::ListAppsRequest>,
    ) -> Result<Response<wire::ListAppsResponse>, Status> {
        self.operating(&request)?;
        let owners = Arc::clone(&self.0.owners);
        let apps = move |device: &_, _now| view::apps(device, owners.as_ref());
        Ok(Response::new(wire::ListAppsResponse {
            apps: self.0.look(apps).await?,
            refused: view::refused(&self.0.source.last()),
        }))
    }

    async fn list_tasks(
        &self,
        request: Request<wire::ListTasksRequest>,
    ) -> Result<Response<wire::ListTasksResponse>, Status> {
        self.operating(&request)?;
        let app = one_or_all(&request.get_ref().app)?;
        let tasks = move |device: &_, now| view::tasks(device, now, app.as_ref());
        Ok(Response::new(wire::ListTasksResponse {
            tasks: self.0.look(tasks).await?,
        }))
    }

    async fn list_runs(
        &self,
        request: Request<wire::ListRunsRequest>,
    ) -> Result<Response<wire::ListRunsResponse>, Status> {
        self.operating(&request)?;
        let app = one_or_all(&request.get_ref().app)?;
        let limit = convert::limit(request.get_ref().limit)?;
        let status = self.0.board.read();
        let runs = move |device: &_, _now| view::runs(device, &status, app.as_ref(), limit);
        Ok(Response::new(wire::ListRunsResponse {
            runs: self.0.look(runs).await?,
        }))
    }

    async fn why(
        &self,
        request: Request<wire::WhyRequest>,
    ) -> Result<Response<wire::WhyResponse>, Status> {
        self.operating(&request)?;
        let wire::WhyRequest { app, task } = request.into_inner();
        if app.is_empty() && task.is_empty() {
            let explanations = self.0.look(view::starving).await?;
            return Ok(Response::new(wire::WhyResponse { explanations }));
        }
        let app = convert::app(app)?;
        let task = (!task.is_empty())
            .then(|| convert::task("task", task))
            .transpose()?;
        let missing = match &task {
            Some(task) => {
                format!("app {app} has no task {task} registered; `lull tasks` lists what it has")
            }
            None => format!("app {app} has no task registered"),
        };
        let why = move |device: &_, now| view::why(device, now, &app, task.as_ref());
        let explanations = self.0.look(why).await?;
        if explanations.is_empty() {
            return Err(Status::not_found(missing));
        }
        Ok(Response::new(wire::WhyResponse { explanations }))
    }

    async fn set_access(
        &self,
        request: Request<wire::SetAccessRequest>,
    ) -> Result<Response<wire::SetAccessResponse>, Status> {
        self.operating(&request)?;
        let wire::SetAccessRequest { app, choice } = request.into_inner();
        let ask = Ask::SetAccess {
            app: convert::app(app)?,
            choice: convert::choice(choice)?,
        };
        match self.0.call(Caller::Operator, ask).await? {
            Answer::Access(status) => Ok(Response::new(wire::SetAccessResponse {
                status: convert::access(status).into(),
            })),
            other => Err(misfit(&other)),
        }
    }

    async fn choose(
        &self,
        request: Request<wire::ChooseRequest>,
    ) -> Result<Response<wire::ChooseResponse>, Status> {
        self.operating(&request)?;
        let wire::ChooseRequest {
            app,
            pinned,
            lock_screen,
            auto_upload,
            agents_disabled,
        } = request.into_inner();
        let choice = Choice {
            pinned,
            lock_screen,
            auto_upload,
            agents_disabled,
        };
        let app = convert::app(app)?;
        match self
            .0
            .call(Caller::Operator, Ask::Choose { app, choice })
            .await?
        {
            Answer::Done => Ok(Response::new(wire::ChooseResponse {})),
            other => Err(misfit(&other)),
        }
    }

    async fn launch_for_test(
        &self,
        request: Request<wire::LaunchForTestRequest>,
    ) -> Result<Response<wire::LaunchForTestResponse>, Status> {
        self.operating(&request)?;
        let wire::LaunchForTestRequest { app, kind, delay } = request.into_inner();
        let ask = Ask::LaunchForTest {
            app: convert::app(app)?,
            kind: convert::scheduled_kind(kind)?,
            delay: convert::delay(delay)?,
        };
        match self.0.call(Caller::Operator, ask).await? {
            Answer::Done => Ok(Response::new(wire::LaunchForTestResponse {})),
            other => Err(misfit(&other)),
        }
    }

    async fn debug_fire(
        &self,
        request: Request<wire::DebugFireRequest>,
    ) -> Result<Response<wire::DebugFireResponse>, Status> {
        self.operating(&request)?;
        let wire::DebugFireRequest { app, id } = request.into_inner();
        let ask = Ask::DebugFire {
            app: convert::app(app)?,
            id: RegistrationId(id),
        };
        match self.0.call(Caller::Operator, ask).await? {
            Answer::Done => Ok(Response::new(wire::DebugFireResponse {})),
            other => Err(misfit(&other)),
        }
    }

    async fn set_consent(
        &self,
        request: Request<wire::SetConsentRequest>,
    ) -> Result<Response<wire::SetConsentResponse>, Status> {
        self.operating(&request)?;
        let wire::SetConsentRequest { app, device, given } = request.into_inner();
        let (app, device) = (convert::app(app)?, convert::device(device)?);
        let ask = if given {
            Ask::GiveConsent { app, device }
        } else {
            Ask::RevokeConsent { app, device }
        };
        match self.0.call(Caller::Operator, ask).await? {
            Answer::Done => Ok(Response::new(wire::SetConsentResponse {})),
            other => Err(misfit(&other)),
        }
    }

    async fn reload_apps(
        &self,
        request: Request<wire::ReloadAppsRequest>,
    ) -> Result<Response<wire::ReloadAppsResponse>, Status> {
        self.operating(&request)?;
        let source = Arc::clone(&self.0.source);
        let report = tokio::task::spawn_blocking(move || source.reload())
            .await
            .map_err(|error| Status::internal(format!("reading the manifests failed: {error}")))?;
        let installed = declared::install(&self.0.engine, &report).await;
        installed.map_err(|error| convert::unavailable(&error))?;
        let owners = Arc::clone(&self.0.owners);
        let apps = move |device: &_, _now| view::apps(device, owners.as_ref());
        Ok(Response::new(wire::ReloadAppsResponse {
            apps: self.0.look(apps).await?,
            refused: view::refused(&report),
        }))
    }
}
